-- Why each payment went where it went, and what is learned from how authorizations end.

-- One row for each time a payment was routed, of the attempt that came of it. Beside the attempts, which change, because
-- this never does.
CREATE TABLE routing_decisions (
    bucket      smallint NOT NULL,
    payment_id  uuid NOT NULL,
    attempt_id  uuid NOT NULL,
    decision    jsonb NOT NULL,
    PRIMARY KEY (bucket, payment_id, attempt_id)
) PARTITION BY RANGE (payment_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON routing_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TABLE routing_decisions_rest PARTITION OF routing_decisions DEFAULT;

-- As in 0001, and of these, too.
CREATE OR REPLACE FUNCTION make_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamp;
    child text;
    room text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scrooge.make_partitions'));
    FOREACH parent IN ARRAY ARRAY['payments', 'attempts', 'journals', 'postings', 'events', 'routing_decisions'] LOOP
        -- Rows that change soon after they were made find room for it on their own page.
        room := CASE WHEN parent IN ('payments', 'attempts') THEN ' WITH (fillfactor = 60)' ELSE '' END;
        FOR step IN 0..ahead LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step);
            child := parent || to_char(month, '_YYYY_MM');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)%s', child, parent,
                    first_id(month AT TIME ZONE 'UTC'),
                    first_id((month + interval '1 month') AT TIME ZONE 'UTC'), room);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
SELECT make_partitions(3);

-- Evidence on how likely approvals are, added up over all processes: see src/scrooge/routing/estimates.py. `key` is a JSON
-- array of the account ("" for all) and the segment; `at` is Unix microseconds; the last three are of the last lesson.
CREATE TABLE routing_effects (
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    key          text NOT NULL,
    precision    double precision NOT NULL,
    pull         double precision NOT NULL,
    at           bigint NOT NULL,
    events       double precision NOT NULL,
    half_life    double precision NOT NULL CHECK (half_life > 0),  -- microseconds
    half_events  double precision NOT NULL CHECK (half_events > 0),
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, livemode, key)
) WITH (fillfactor = 60);
CREATE INDEX routing_effects_changed ON routing_effects (changed_at);

-- What is left of some evidence after so many half-lives. Too little to tell from nothing is nothing.
CREATE FUNCTION faded(evidence double precision, half_lives double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN half_lives > 60 OR abs(evidence) < 1e-200 THEN 0 ELSE evidence * power(2.0::float8, -half_lives) END
$$;

-- Which accounts are unwell, so that what one process has noticed all processes know a second later.
CREATE TABLE routing_troubles (
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    account      text NOT NULL,
    segment      text NOT NULL,  -- a JSON array; [] is all payments
    signal       text NOT NULL,
    since        bigint NOT NULL,  -- Unix microseconds, as is `tried_at`
    tried_at     bigint NOT NULL,
    pause        double precision NOT NULL,  -- seconds
    ended        boolean NOT NULL,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, livemode, account, segment)
);
CREATE INDEX routing_troubles_changed ON routing_troubles (changed_at);

GRANT SELECT, INSERT ON routing_decisions, routing_effects, routing_troubles TO scrooge_app;
GRANT UPDATE ON routing_effects, routing_troubles TO scrooge_app;
GRANT SELECT ON routing_decisions, routing_effects, routing_troubles TO scrooge_reader;
