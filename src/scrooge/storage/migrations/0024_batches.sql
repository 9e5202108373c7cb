-- Batches: files of payments that nobody waits for. `bucket` is that of (caller, Idempotency-Key), so that the same key
-- finds the same batch; a batch and its lines stay together when the tables are distributed.

CREATE TABLE batches (
    bucket           smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id               uuid NOT NULL,
    merchant_id      uuid NOT NULL REFERENCES merchants,
    caller_id        uuid NOT NULL REFERENCES callers,
    livemode         boolean NOT NULL,
    key              text NOT NULL,
    fingerprint      bytea NOT NULL CHECK (length(fingerprint) = 32),
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    kind             text NOT NULL CHECK (kind IN ('payments')),
    status           text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'validating', 'ready', 'running', 'paused',
                                                                     'completed', 'canceled', 'expired')),
    not_before       timestamptz,
    deadline         timestamptz,
    pacing           jsonb NOT NULL DEFAULT '{}',
    -- For lines that do not say it themselves.
    retry_until      timestamptz,
    descriptor       text,
    on_health_alarm  text NOT NULL DEFAULT 'pause' CHECK (on_health_alarm IN ('pause', 'continue')),
    -- What of the input is kept: whole lines, in pieces.
    input_bytes      bigint NOT NULL DEFAULT 0 CHECK (input_bytes >= 0),
    input_lines      integer NOT NULL DEFAULT 0 CHECK (input_lines >= 0),
    rejected         integer NOT NULL DEFAULT 0,  -- of its lines: what validation refused
    because          text,  -- of the last change of status
    version          integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    ended_at         timestamptz,
    forgotten_at     timestamptz,  -- its lines are gone
    PRIMARY KEY (bucket, id),
    CHECK (deadline > not_before),
    CHECK ((status IN ('completed', 'canceled', 'expired')) = (ended_at IS NOT NULL)),
    CHECK (rejected BETWEEN 0 AND input_lines)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX batches_once ON batches (bucket, caller_id, livemode, key);
CREATE INDEX batches_newest ON batches (merchant_id, livemode, id);
CREATE INDEX batches_at_work ON batches (status) WHERE status IN ('validating', 'ready', 'running', 'paused');
CREATE INDEX batches_over ON batches (ended_at) WHERE ended_at IS NOT NULL AND forgotten_at IS NULL;

-- Who changed its status, and why.
CREATE TABLE batch_acts (
    bucket       smallint NOT NULL,
    batch_id     uuid NOT NULL,
    number       integer NOT NULL CHECK (number > 0),
    act          text NOT NULL,
    status       text NOT NULL,  -- from then on
    author       text NOT NULL,
    because      text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, batch_id, number),
    FOREIGN KEY (bucket, batch_id) REFERENCES batches (bucket, id)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON batch_acts FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Some thousand lines, as one transaction took them in: where a repeated upload is compared with what is there.
CREATE TABLE batch_pieces (
    bucket       smallint NOT NULL,
    batch_id     uuid NOT NULL,
    first_byte   bigint NOT NULL CHECK (first_byte >= 0),
    first_line   integer NOT NULL CHECK (first_line > 0),
    bytes        integer NOT NULL CHECK (bytes > 0),
    lines        integer NOT NULL CHECK (lines > 0),
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of those bytes
    PRIMARY KEY (bucket, batch_id, first_byte),
    FOREIGN KEY (bucket, batch_id) REFERENCES batches (bucket, id)
);
CREATE TRIGGER append_only BEFORE UPDATE ON batch_pieces FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A million of them at once: narrow, by COPY, without a key to anything, and in no index that a payment changes, so that it
-- is noted in place. `rejected` by validation, `refused` when its turn had come; what became of the others is their
-- payments' to say. A queued line of a batch that ended was left.
CREATE TABLE batch_lines (
    minor        bigint CHECK (minor > 0),
    retry_until  timestamptz,
    line         integer NOT NULL CHECK (line > 0),
    bucket       smallint NOT NULL,
    existing     boolean,  -- the payment was there before
    batch_id     uuid NOT NULL,
    mandate_id   uuid,
    payment_id   uuid,
    currency     text,
    state        text NOT NULL CHECK (state IN ('queued', 'rejected', 'done', 'refused')),
    reference    text,
    custom_id    text,
    metadata     jsonb,
    error        jsonb,
    PRIMARY KEY (bucket, batch_id, line),
    CHECK (state = 'rejected' OR (minor IS NOT NULL AND currency IS NOT NULL AND mandate_id IS NOT NULL
                                  AND reference IS NOT NULL)),
    CHECK ((state IN ('rejected', 'refused')) = (error IS NOT NULL)),
    CHECK ((state = 'done') = (payment_id IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX batch_lines_wrong ON batch_lines (bucket, batch_id, line) WHERE error IS NOT NULL;

-- Lines of batches that ended so long ago go, piece by piece; the batch with its counts and its history stays.
CREATE FUNCTION forget_batch_lines(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    old record;
    gone integer := 0;
BEGIN
    SELECT bucket, id INTO old FROM batches
     WHERE ended_at < now() - interval '90 days' AND forgotten_at IS NULL
     ORDER BY ended_at LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH past AS (
        SELECT c.first_byte, c.first_line, c.lines FROM batch_pieces c
         WHERE c.bucket = old.bucket AND c.batch_id = old.id
         ORDER BY c.first_byte LIMIT most
    ), without AS (
        DELETE FROM batch_lines l USING past p
         WHERE l.bucket = old.bucket AND l.batch_id = old.id
           AND l.line >= p.first_line AND l.line < p.first_line + p.lines
    ), deleted AS (
        DELETE FROM batch_pieces c USING past p
         WHERE c.bucket = old.bucket AND c.batch_id = old.id AND c.first_byte = p.first_byte
        RETURNING 1
    )
    SELECT count(*) INTO gone FROM deleted;
    IF gone = 0 THEN
        UPDATE batches SET forgotten_at = now() WHERE bucket = old.bucket AND id = old.id;
    END IF;
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION forget_batch_lines(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_batch_lines(integer) TO scrooge_app;

GRANT SELECT, INSERT ON batches, batch_acts, batch_pieces, batch_lines TO scrooge_app;
GRANT UPDATE (status, input_bytes, input_lines, rejected, because, version, changed_at, started_at, ended_at)
    ON batches TO scrooge_app;
GRANT UPDATE (state, payment_id, existing, error) ON batch_lines TO scrooge_app;
GRANT SELECT ON batches, batch_acts, batch_pieces, batch_lines TO scrooge_reader;
