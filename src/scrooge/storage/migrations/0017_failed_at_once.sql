-- A payment that nobody can take is recorded like any other, and has no attempt. Its rows of events and routing_decisions
-- bear the payment's own number as `attempt_id`.

-- Why no PSP was asked: a code, a sentence and the reasons. Written with the payment and never changed; null of one that
-- began with an attempt.
ALTER TABLE payments ADD COLUMN failure jsonb;
