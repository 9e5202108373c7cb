-- What loads stored value without an order: adjustments, the large ones by two keys, and codes as on gift cards.

CREATE TABLE stored_value_adjustments (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id           uuid NOT NULL,
    account_id   uuid NOT NULL,
    direction    text NOT NULL CHECK (direction IN ('up', 'down')),
    minor        bigint NOT NULL CHECK (minor > 0),
    reference    text NOT NULL CHECK (length(reference) BETWEEN 1 AND 128),
    reason       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('proposed', 'applied', 'rejected')),
    proposed_by  uuid NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    decided_by   uuid,  -- null: it was small enough to need nobody else
    decided_at   timestamptz,
    PRIMARY KEY (bucket, id),
    CONSTRAINT decided_by_another CHECK (state <> 'applied' OR decided_by IS NULL OR decided_by <> proposed_by)
);
CREATE UNIQUE INDEX one_adjustment_of_reference ON stored_value_adjustments (bucket, account_id, reference);

-- Codes that were made together, for one order.
CREATE TABLE stored_value_issues (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id           uuid NOT NULL,
    merchant_id  uuid NOT NULL,
    caller_id    uuid NOT NULL,
    livemode     boolean NOT NULL,
    reference    text NOT NULL CHECK (length(reference) BETWEEN 1 AND 128),
    minor        bigint NOT NULL CHECK (minor > 0),
    currency     char(3) NOT NULL,
    codes        integer NOT NULL CHECK (codes > 0),
    expires_at   timestamptz,
    canceled_at  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, id)
);
CREATE UNIQUE INDEX one_issue_of_reference ON stored_value_issues (bucket, merchant_id, caller_id, livemode, reference);

-- A code is 128 random bits, told once; kept is its HMAC under a key that the database does not have. Its bucket is the
-- digest's, so that whoever brings a code finds it, and nobody else does.
CREATE TABLE stored_value_codes (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    issue_id     uuid NOT NULL,
    issue_bucket smallint NOT NULL,
    number       integer NOT NULL CHECK (number > 0),
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    minor        bigint NOT NULL CHECK (minor > 0),
    currency     char(3) NOT NULL,
    caller       text NOT NULL,  -- the name of who sold it: their order paid for it
    expires_at   timestamptz,
    used_by      uuid,  -- the account that it was loaded on
    used_at      timestamptz,
    PRIMARY KEY (bucket, digest),
    CHECK ((used_by IS NULL) = (used_at IS NULL))
);
CREATE INDEX codes_of_issue ON stored_value_codes (issue_id, number);

-- Codes that were tried and not accepted, of one customer by one caller.
CREATE TABLE stored_value_guesses (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    merchant_id  uuid NOT NULL,
    caller_id    uuid NOT NULL,
    livemode     boolean NOT NULL,
    customer     text NOT NULL,
    guesses      integer NOT NULL CHECK (guesses >= 0),
    since        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, merchant_id, caller_id, livemode, customer)
);

GRANT SELECT, INSERT ON stored_value_adjustments, stored_value_issues, stored_value_codes, stored_value_guesses
    TO scrooge_app;
GRANT UPDATE (state, decided_by, decided_at) ON stored_value_adjustments TO scrooge_app;
GRANT UPDATE (canceled_at) ON stored_value_issues TO scrooge_app;
GRANT UPDATE (used_by, used_at) ON stored_value_codes TO scrooge_app;
GRANT UPDATE (guesses, since) ON stored_value_guesses TO scrooge_app;
GRANT SELECT ON stored_value_adjustments, stored_value_issues TO scrooge_reader;
