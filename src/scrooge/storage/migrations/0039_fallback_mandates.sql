-- A payer may agree that one mandate pays where another one's card does not. Consent is each mandate's own.
ALTER TABLE mandates ADD COLUMN fallback boolean NOT NULL DEFAULT false;
CREATE TRIGGER fallback_stays BEFORE UPDATE OF fallback ON mandates
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- `mandate_id` and `instrument_id` are the payment's own, whatever else was tried: as of the last attempt with them.
CREATE OR REPLACE FUNCTION keep_recovery() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    becomes text := recovery_step(coalesce(NEW.phase, NEW.state));
    said text := coalesce(NEW.why, CASE NEW.state WHEN 'canceled' THEN 'withdrawn' WHEN 'lost' THEN 'hard_decline' END);
    ends timestamptz := CASE WHEN becomes <> 'open' THEN NEW.written_at END;
BEGIN
    IF becomes IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE recoveries r
       SET state = becomes, reason = coalesce(NEW.decline, r.reason), means = coalesce(NEW.means, r.means), why = said,
           retries = NEW.round, next_at = CASE WHEN becomes = 'open' THEN NEW.retry_at END, ended_at = ends,
           instrument_id = CASE WHEN NEW.state = 'made' AND NEW.mandate_id IS NULL
                                THEN (SELECT p.instrument_id FROM payments p
                                       WHERE p.bucket = NEW.bucket AND p.id = NEW.payment_id)
                                ELSE r.instrument_id END
     WHERE r.bucket = NEW.bucket AND r.payment_id = NEW.payment_id AND r.state = 'open';
    IF NOT FOUND AND coalesce(NEW.phase, NEW.state) IN ('looking', 'scheduled', 'needs_customer', 'lost') THEN
        INSERT INTO recoveries (
               bucket, payment_id, merchant_id, livemode, mandate_id, instrument_id, minor, currency, state, reason, means,
               why, control, retries, next_at, retry_until, opened_at, ended_at)
        SELECT NEW.bucket, NEW.payment_id, NEW.merchant_id, NEW.livemode, p.mandate_id, p.instrument_id, p.minor,
               p.currency, becomes, coalesce(NEW.decline, 'unmapped'), NEW.means, said, coalesce(NEW.control, false),
               NEW.round, NEW.retry_at, p.retry_until, NEW.written_at, ends
          FROM payments p
         WHERE p.bucket = NEW.bucket AND p.id = NEW.payment_id AND p.retry_until IS NOT NULL
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
