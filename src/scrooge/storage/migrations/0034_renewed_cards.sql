-- When the card behind an instrument was last found to have another expiry or number: whoever was declined before that,
-- may try again.
ALTER TABLE instruments ADD COLUMN renewed_at timestamptz;
-- The newer card that was tried already: one attempt for each.
ALTER TABLE retries ADD COLUMN card_at timestamptz;
DROP TRIGGER append_only ON retries;
CREATE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, payment_id, seq, merchant_id, livemode, state, number, round, retry_at, because,
        decline, arm, propensity, timetable, attempt_id, written_at, phase, means, why, control, spent, mandate_id, card_at
    ON retries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
