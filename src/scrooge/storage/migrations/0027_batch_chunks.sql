-- How far a batch has come: its lines in chunks, each in the hands of one worker for a while.

-- A million lines are four thousand of these, so that claiming, counting and looking for the end cost little. A line is
-- written once, when it has ended; what of a chunk was only begun is found again by the references of its lines. The
-- counts are of the lines' payments as they were when the chunk was counted last, and `recount_at` says when again.
CREATE TABLE batch_chunks (
    bucket        smallint NOT NULL,
    batch_id      uuid NOT NULL,
    number        integer NOT NULL CHECK (number > 0),
    first_line    integer NOT NULL CHECK (first_line > 0),
    last_line     integer NOT NULL,
    epoch         integer NOT NULL DEFAULT 0,  -- grows with every claim
    leased_by     uuid,
    leased_until  timestamptz,
    done_at       timestamptz,
    recount_at    timestamptz,
    existing      integer NOT NULL DEFAULT 0,
    captured      integer NOT NULL DEFAULT 0,
    declined      integer NOT NULL DEFAULT 0,
    failed        integer NOT NULL DEFAULT 0,
    processing    integer NOT NULL DEFAULT 0,
    refused       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, batch_id, number),
    FOREIGN KEY (bucket, batch_id) REFERENCES batches (bucket, id),
    CHECK (last_line >= first_line),
    CHECK (existing <= captured + declined + failed + processing),
    CHECK (captured + declined + failed + processing + refused <= last_line - first_line + 1)
) WITH (fillfactor = 50);
CREATE INDEX batch_chunks_left ON batch_chunks (bucket, batch_id, number) WHERE done_at IS NULL;
CREATE INDEX batch_chunks_begun ON batch_chunks (leased_until) WHERE done_at IS NULL AND epoch > 0;
CREATE INDEX batch_chunks_recounted ON batch_chunks (recount_at) WHERE recount_at IS NOT NULL;

GRANT SELECT, INSERT ON batch_chunks TO scrooge_app;
GRANT UPDATE (epoch, leased_by, leased_until, done_at, recount_at, existing, captured, declined, failed, processing,
              refused) ON batch_chunks TO scrooge_app;
GRANT SELECT ON batch_chunks TO scrooge_reader;
