-- What an approved payment teaches about its instrument: a token that the PSP keeps for it, and what the schemes call it.

ALTER TABLE payments ADD COLUMN save_for text;
ALTER TABLE payments ADD CONSTRAINT saved_for_something
    CHECK (save_for IN ('subscription', 'on_demand')) NOT VALID;
-- The instrument that its approval teaches, until it has. Written when the attempt is made, so nothing new is decided
-- where money is: that an attempt is approved makes it work to be done.
ALTER TABLE attempts ADD COLUMN teaches uuid;
ALTER TABLE attempts ADD COLUMN psp_customer text;  -- whose token it is there
-- squawk-ignore require-concurrent-index-creation -- a partitioned table has none; only what is yet to be learned is in it
CREATE INDEX attempts_to_learn_from ON attempts (payment_id) WHERE teaches IS NOT NULL AND state = 'approved';
GRANT SELECT (teaches) ON attempts TO scrooge_reader;

-- Saving with a PSP may take more requests than the payment.
-- squawk-ignore ban-drop-constraint -- its successor is the next statement, and takes all that it took
ALTER TABLE errands DROP CONSTRAINT errands_kind_check;
ALTER TABLE errands ADD CONSTRAINT errands_kind_check CHECK (kind IN (
    'forget_vault_card', 'forget_psp_token', 'renew_vault_card', 'keep_psp_token', 'read_psp_token')) NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- errands are few as yet
ALTER TABLE errands VALIDATE CONSTRAINT errands_kind_check;
