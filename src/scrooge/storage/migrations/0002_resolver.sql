-- The resolver: leases on attempts, what is being given back, decisions of operators.

-- `asks` counts the claims of an attempt, so it is the lease's epoch too; a claim lasts until `leased_until`. Whoever
-- finds another epoch, or a lease that ran out, must not conclude anything from "nobody else is asking".
ALTER TABLE attempts ADD COLUMN leased_until timestamptz;
GRANT SELECT (leased_until) ON attempts TO scrooge_reader;

-- Claims go account by account, so that the backlog at one PSP holds up no other.
-- squawk-ignore require-concurrent-index-creation -- a partitioned table has none; only open attempts are in it
CREATE INDEX attempts_to_ask_at ON attempts (connector_account_id, ask_at) WHERE ask_at IS NOT NULL;
-- squawk-ignore require-concurrent-index-deletion -- the index of a partitioned table; its successor is above
DROP INDEX attempts_to_ask;

-- Money that is being given back is work until it is definitive.
ALTER TABLE attempts ADD CONSTRAINT reversing_attempts_are_worked_on
    CHECK (state <> 'reversing' OR ask_at IS NOT NULL) NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- validated at once: before this release no attempt was reversing
ALTER TABLE attempts VALIDATE CONSTRAINT reversing_attempts_are_worked_on;

ALTER TABLE breaks ADD COLUMN closed_by text;  -- an API key, or what closed it by itself
ALTER TABLE breaks ADD COLUMN note text;
-- squawk-ignore require-concurrent-index-creation -- contradictions are few
CREATE INDEX breaks_of_merchant ON breaks (merchant_id, id);

-- What an operator knows about an attempt and the PSP cannot be asked. It counts when another key has approved it.
CREATE TABLE decisions (
    bucket         smallint NOT NULL,
    id             uuid NOT NULL,
    merchant_id    uuid NOT NULL,
    payment_id     uuid NOT NULL,
    attempt_id     uuid NOT NULL,
    outcome        text NOT NULL CHECK (outcome IN ('approved', 'declined', 'not_processed', 'reversed')),
    psp_reference  text,
    evidence       text NOT NULL CHECK (length(evidence) BETWEEN 1 AND 4000),
    state          text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'applied', 'rejected')),
    proposed_by    uuid NOT NULL,  -- API keys, not their owners: two people have two
    proposed_at    timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    decided_by     uuid,
    decided_at     timestamptz,
    note           text,
    PRIMARY KEY (bucket, id),
    CONSTRAINT decided_by_another CHECK (state <> 'applied' OR decided_by <> proposed_by),
    CONSTRAINT decided_by_somebody CHECK ((state = 'proposed') = (decided_by IS NULL))
);
CREATE INDEX decisions_of_payment ON decisions (bucket, payment_id);
CREATE INDEX decisions_of_merchant ON decisions (merchant_id, id);
GRANT SELECT, INSERT, UPDATE ON decisions TO scrooge_app;
GRANT SELECT ON decisions TO scrooge_reader;
