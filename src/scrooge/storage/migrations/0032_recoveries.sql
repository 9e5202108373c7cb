-- What wins a declined renewal back, and what came of it: one row a payment, made of its steps by the database itself.

-- `state` stays what a process of before can read; `phase` says it exactly. `spent`: the means that can do no more.
ALTER TABLE retries ADD COLUMN phase text;
ALTER TABLE retries ADD COLUMN means text;
ALTER TABLE retries ADD COLUMN why text;
ALTER TABLE retries ADD COLUMN control boolean;
ALTER TABLE retries ADD COLUMN spent text[];
ALTER TABLE retries ADD COLUMN mandate_id uuid;  -- under which it is paid from here on, where that is not its own
ALTER TABLE retries ADD CONSTRAINT retries_phase CHECK (phase IN (
    'open', 'looking', 'scheduled', 'needs_customer', 'made', 'recovered', 'lost', 'canceled')) NOT VALID;
ALTER TABLE retries ADD CONSTRAINT retries_means CHECK (means IN (
    'wait', 'refresh', 'other_mandate', 'customer')) NOT VALID;
ALTER TABLE retries ADD CONSTRAINT retries_why CHECK (why IN (
    'deadline', 'hard_decline', 'exhausted', 'withdrawn', 'refused', 'customer_updated')) NOT VALID;
DROP TRIGGER append_only ON retries;
CREATE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, payment_id, seq, merchant_id, livemode, state, number, round, retry_at, because,
        decline, arm, propensity, timetable, attempt_id, written_at, phase, means, why, control, spent, mandate_id ON retries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Not partitioned: of the payments that were declined, those that are tried again. Nobody writes it but the steps.
CREATE TABLE recoveries (
    bucket         smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    payment_id     uuid NOT NULL,
    merchant_id    uuid NOT NULL,
    livemode       boolean NOT NULL,
    mandate_id     uuid,
    instrument_id  uuid,
    minor          bigint NOT NULL,
    currency       char(3) NOT NULL,
    state          text NOT NULL CHECK (state IN ('open', 'recovered', 'lost')),
    reason         text NOT NULL,  -- of the last decline
    means          text,           -- the last that was chosen
    why            text,
    control        boolean NOT NULL,
    retries        smallint NOT NULL,
    next_at        timestamptz,
    retry_until    timestamptz NOT NULL,
    opened_at      timestamptz NOT NULL,
    ended_at       timestamptz,
    PRIMARY KEY (bucket, payment_id),
    CHECK ((state = 'open') = (ended_at IS NULL)),
    CHECK (next_at IS NULL OR state = 'open')
) WITH (fillfactor = 80);
CREATE INDEX recoveries_of_merchant ON recoveries (merchant_id, livemode, opened_at, payment_id);
CREATE INDEX recoveries_of_mandate ON recoveries (mandate_id) WHERE state = 'open';
CREATE INDEX recoveries_of_instrument ON recoveries (instrument_id) WHERE state = 'open';
CREATE FUNCTION refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a recovery that has ended stays so';
END $$;
CREATE TRIGGER ended_for_ever BEFORE UPDATE ON recoveries
    FOR EACH ROW WHEN (OLD.state <> 'open') EXECUTE FUNCTION refuse_reopening();

-- What a step makes of a recovery: domain/recovery.py, BECOMES.
CREATE FUNCTION recovery_step(phase text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE phase
           WHEN 'looking' THEN 'open' WHEN 'scheduled' THEN 'open' WHEN 'needs_customer' THEN 'open'
           WHEN 'made' THEN 'open' WHEN 'recovered' THEN 'recovered' WHEN 'lost' THEN 'lost'
           WHEN 'canceled' THEN 'lost' END
$$;

-- In the statement that writes the step. One that was canceled before anything was decided has none.
-- `mandate_id` and `instrument_id` are the payment's own, whatever else was tried: as of the last attempt with them.
CREATE FUNCTION keep_recovery() RETURNS trigger
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
CREATE TRIGGER keep_recovery AFTER INSERT ON retries FOR EACH ROW EXECUTE FUNCTION keep_recovery();
REVOKE ALL ON FUNCTION keep_recovery() FROM PUBLIC;

GRANT SELECT ON recoveries TO scrooge_app, scrooge_reader;

-- Of what was declined before: the first decision and the last step.
INSERT INTO recoveries (
       bucket, payment_id, merchant_id, livemode, mandate_id, instrument_id, minor, currency, state, reason, means, why,
       control, retries, next_at, retry_until, opened_at, ended_at)
SELECT p.bucket, p.id, p.merchant_id, p.livemode, p.mandate_id, p.instrument_id, p.minor, p.currency, s.becomes,
       coalesce(s.decline, 'unmapped'), 'wait',
       CASE l.state WHEN 'canceled' THEN 'withdrawn' WHEN 'lost' THEN 'hard_decline' END,
       false, l.round, CASE WHEN s.becomes = 'open' THEN l.retry_at END, p.retry_until, s.first_at,
       CASE WHEN s.becomes <> 'open' THEN l.written_at END
  FROM (SELECT r.bucket, r.payment_id, max(r.seq) AS seq, min(r.written_at) AS first_at,
               (array_agg(r.decline ORDER BY r.seq DESC) FILTER (WHERE r.decline IS NOT NULL))[1] AS decline,
               coalesce((array_agg(recovery_step(r.state) ORDER BY r.seq DESC))[1], 'open') AS becomes
          FROM retries r
         WHERE r.state <> 'open'
         GROUP BY r.bucket, r.payment_id
        HAVING bool_or(r.state IN ('scheduled', 'lost'))) s
  JOIN retries l ON l.bucket = s.bucket AND l.payment_id = s.payment_id AND l.seq = s.seq
  JOIN payments p ON p.bucket = s.bucket AND p.id = s.payment_id
 WHERE p.retry_until IS NOT NULL;
