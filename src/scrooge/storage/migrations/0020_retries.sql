-- Payments that nobody waits for are tried again when they were declined: what follows each authorization, step by step.

-- Until when the caller wants that. Null: it asks again by itself.
ALTER TABLE payments ADD COLUMN retry_until timestamptz;

-- One row a step, never changed: the last one counts. Two who would both take the next step want the same key, so at
-- most one attempt comes of what was scheduled. `due_at` and `claims` alone are the workers': when it is somebody's turn.
CREATE TABLE retries (
    bucket       smallint NOT NULL,
    payment_id   uuid NOT NULL,
    seq          smallint NOT NULL CHECK (seq > 0),
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'scheduled', 'made', 'recovered', 'lost', 'canceled')),
    number       smallint NOT NULL,  -- of the attempt that it follows; of one that was made, its own
    round        smallint NOT NULL CHECK (round >= 0),  -- retries made so far
    retry_at     timestamptz,
    because      text NOT NULL,
    decline      text,
    arm          text CHECK (arm IN ('rules', 'learned')),
    propensity   double precision CHECK (propensity > 0 AND propensity <= 1),
    timetable    text,
    attempt_id   uuid,
    written_at   timestamptz NOT NULL DEFAULT now(),
    due_at       timestamptz,
    claims       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, payment_id, seq),
    CHECK ((state = 'scheduled') = (retry_at IS NOT NULL)),
    CHECK ((state = 'made') = (attempt_id IS NOT NULL)),
    CHECK (due_at IS NULL OR state IN ('open', 'scheduled'))
) PARTITION BY RANGE (payment_id);
-- It ends once.
CREATE UNIQUE INDEX retries_end ON retries (bucket, payment_id) WHERE state IN ('recovered', 'lost', 'canceled');
CREATE INDEX retries_due ON retries (due_at) WHERE due_at IS NOT NULL;
CREATE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, payment_id, seq, merchant_id, livemode, state, number, round, retry_at, because,
        decline, arm, propensity, timetable, attempt_id, written_at ON retries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TABLE retries_rest PARTITION OF retries DEFAULT;

GRANT SELECT, INSERT ON retries TO scrooge_app;
GRANT UPDATE (due_at, claims) ON retries TO scrooge_app;
GRANT SELECT ON retries TO scrooge_reader;

-- As in 0014, and of these, too.
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
    FOREACH parent IN ARRAY ARRAY['payments', 'attempts', 'journals', 'postings', 'events', 'routing_decisions',
                                  'retries'] LOOP
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
