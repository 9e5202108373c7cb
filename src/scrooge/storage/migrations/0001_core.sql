-- The core: who may ask, what was asked, what PSPs answered, what it did to the books.
--
-- `bucket` (0..1023) comes first in every primary key, unique index and foreign key of a payment's tables, and is
-- embedded in every id, so that the tables can be distributed by it. Tables of a payment are partitioned by month
-- of the payment's id, a UUIDv7. Uniqueness wider than one payment lives in guard tables, which are not partitioned.

-- --- registries: small, the same everywhere -------------------------------------------------------------------

CREATE TABLE merchants (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE callers (
    id           uuid PRIMARY KEY,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    name         text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (merchant_id, name)
);

CREATE TABLE api_keys (
    id          uuid PRIMARY KEY,
    caller_id   uuid NOT NULL REFERENCES callers,
    digest      bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- SHA-256; the key itself is never kept
    hint        text NOT NULL,  -- its first and last characters, to recognize it by
    scopes      text[] NOT NULL CHECK (cardinality(scopes) > 0),
    livemode    boolean NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);

CREATE TABLE connector_accounts (
    id                uuid PRIMARY KEY,
    merchant_id       uuid NOT NULL REFERENCES merchants,
    name              text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    connector         text NOT NULL,
    merchant_account  text NOT NULL,
    livemode          boolean NOT NULL,
    credentials       text NOT NULL,  -- sealed: unreadable without SCROOGE_CREDENTIALS_KEY
    base_url          text CHECK (NOT livemode OR base_url IS NULL),
    state             text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'paused')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (merchant_id, name)
);

-- --- instruments ----------------------------------------------------------------------------------------------

CREATE TABLE instruments (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id           uuid NOT NULL,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    customer     text NOT NULL,
    brand        text,
    iin          text CHECK (iin ~ '^[0-9]{6,8}$'),
    last4        text CHECK (last4 ~ '^[0-9]{4}$'),
    exp          text CHECK (exp ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    created_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX instruments_of_customer ON instruments (merchant_id, customer, id);

CREATE TABLE credentials (
    bucket                smallint NOT NULL,
    instrument_id         uuid NOT NULL,
    connector_account_id  uuid NOT NULL REFERENCES connector_accounts,
    position              smallint NOT NULL,  -- the order in which the caller named them
    psp_token             text NOT NULL,
    psp_customer          text,
    PRIMARY KEY (bucket, instrument_id, connector_account_id),
    FOREIGN KEY (bucket, instrument_id) REFERENCES instruments (bucket, id)
);

-- --- guards: uniqueness wider than one payment ----------------------------------------------------------------

-- One obligation, one payment, for ever, whatever key the caller invents.
CREATE TABLE payment_references (
    bucket       smallint NOT NULL,
    merchant_id  uuid NOT NULL,
    caller_id    uuid NOT NULL,
    livemode     boolean NOT NULL,
    reference    text NOT NULL,
    payment_id   uuid NOT NULL,
    PRIMARY KEY (bucket, merchant_id, caller_id, livemode, reference)
);

-- One request, one effect. The answer is the resource itself, rendered afresh.
CREATE TABLE idempotency_keys (
    bucket       smallint NOT NULL,
    caller_id    uuid NOT NULL,
    livemode     boolean NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,
    payment_id   uuid NOT NULL,
    attempt_id   uuid,  -- of a capture, void or refund
    deadline_at  timestamptz NOT NULL,  -- until then the key answers "still running"
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, caller_id, livemode, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- What PSPs tell us by themselves: stored before it is answered, applied later, once.
CREATE TABLE inbox (
    bucket                smallint NOT NULL,
    connector_account_id  uuid NOT NULL REFERENCES connector_accounts,
    event_id              text NOT NULL,
    kind                  text NOT NULL,
    item                  jsonb NOT NULL,  -- as the connector read it
    raw                   bytea NOT NULL,  -- as it came
    state                 text NOT NULL DEFAULT 'unread'
                          CHECK (state IN ('unread', 'applied', 'unhandled', 'contradicted')),
    note                  text,
    tries                 integer NOT NULL DEFAULT 0,
    due_at                timestamptz NOT NULL DEFAULT now(),
    received_at           timestamptz NOT NULL DEFAULT now(),
    applied_at            timestamptz,
    PRIMARY KEY (bucket, connector_account_id, event_id)
);
CREATE UNIQUE INDEX inbox_once ON inbox (bucket, connector_account_id, event_id);
CREATE INDEX inbox_due ON inbox (due_at) WHERE state = 'unread';

-- --- payments -------------------------------------------------------------------------------------------------

CREATE TABLE payments (
    bucket                smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id                    uuid NOT NULL,
    merchant_id           uuid NOT NULL,
    caller_id             uuid NOT NULL,
    reference             text NOT NULL CHECK (length(reference) BETWEEN 1 AND 128),
    minor                 bigint NOT NULL CHECK (minor > 0),
    currency              char(3) NOT NULL,
    sale                  boolean NOT NULL,
    livemode              boolean NOT NULL,
    status                text NOT NULL,  -- an index of what the attempts say, never the source
    version               integer NOT NULL DEFAULT 1,
    answered              boolean NOT NULL DEFAULT false,
    deadline_at           timestamptz NOT NULL,
    accounts              uuid[] NOT NULL DEFAULT '{}',
    customer              text,
    instrument_id         uuid,
    initiator             text NOT NULL DEFAULT 'customer' CHECK (initiator IN ('customer', 'merchant')),
    purpose               text,
    return_url            text,
    statement_descriptor  text,
    metadata              jsonb NOT NULL DEFAULT '{}',
    created_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, id),
    CHECK ((get_byte(uuid_send(id), 14) & 3) * 256 + get_byte(uuid_send(id), 15) = bucket)
) PARTITION BY RANGE (id);
CREATE INDEX payments_newest ON payments (merchant_id, id);

CREATE TABLE attempts (
    bucket                  smallint NOT NULL,
    payment_id              uuid NOT NULL,
    id                      uuid NOT NULL,
    number                  smallint NOT NULL CHECK (number > 0),
    operation               text NOT NULL CHECK (operation IN ('authorize', 'capture', 'void', 'refund')),
    parent_id               uuid,
    connector_account_id    uuid NOT NULL,
    minor                   bigint NOT NULL CHECK (minor > 0),
    currency                char(3) NOT NULL,
    sale                    boolean NOT NULL DEFAULT false,
    final                   boolean NOT NULL DEFAULT false,
    state                   text NOT NULL CHECK (state IN ('sent', 'unknown', 'pending', 'action_required',
                                'approved', 'declined', 'rejected', 'reversed', 'reversing')),
    closed                  text CHECK (closed IN ('voided', 'expired')),
    closed_at               timestamptz CHECK ((closed IS NULL) = (closed_at IS NULL)),
    approved_minor          bigint CHECK (approved_minor BETWEEN 0 AND minor),
    -- Counted on the authorization only; the same numbers domain/payment.py computes from the attempts.
    authorized_minor        bigint NOT NULL DEFAULT 0 CHECK (authorized_minor BETWEEN 0 AND minor),
    captured_minor          bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    voided_minor            bigint NOT NULL DEFAULT 0 CHECK (voided_minor >= 0),
    refunded_minor          bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    held_minor              bigint NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
    held_refund_minor       bigint NOT NULL DEFAULT 0 CHECK (held_refund_minor >= 0),
    reference               text NOT NULL,  -- ours at the PSP, and the idempotency key there
    caller_reference        text,
    psp_reference           text,
    network_transaction_id  text,
    psp_token               text,
    checks                  jsonb NOT NULL DEFAULT '{}',
    decline                 text,
    raw_code                text,
    raw_message             text,
    network_code            text,
    advice_code             text,
    reason                  text,
    action                  jsonb,
    return_token            text,
    request                 jsonb NOT NULL,  -- method, path, body: what a replay sends again, byte for byte
    expires_at              timestamptz,
    sent_at                 timestamptz NOT NULL,
    concluded_at            timestamptz,
    recorded_at             timestamptz NOT NULL DEFAULT now(),  -- when its request was kept, by this clock alone
    ask_at                  timestamptz,  -- when to ask the PSP what happened; null once final
    asks                    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, payment_id, number),
    CONSTRAINT captures_have_room CHECK (captured_minor + voided_minor + held_minor <= authorized_minor),
    CONSTRAINT refunds_have_room CHECK (refunded_minor + held_refund_minor <= captured_minor),
    CONSTRAINT open_attempts_are_asked_about
        CHECK (state NOT IN ('sent', 'unknown', 'pending', 'action_required') OR ask_at IS NOT NULL)
) PARTITION BY RANGE (payment_id);
-- At most one attempt of a payment that moved, or may still move, the payer's money.
CREATE UNIQUE INDEX one_live_authorization ON attempts (bucket, payment_id)
    WHERE operation = 'authorize' AND closed IS NULL
      AND state IN ('sent', 'unknown', 'pending', 'action_required', 'approved', 'reversing');
CREATE UNIQUE INDEX one_caller_reference ON attempts (bucket, payment_id, operation, caller_reference)
    WHERE caller_reference IS NOT NULL;
CREATE INDEX attempts_to_ask ON attempts (ask_at) WHERE ask_at IS NOT NULL;
CREATE INDEX attempts_at_psp ON attempts (connector_account_id, psp_reference) WHERE psp_reference IS NOT NULL;

-- --- the books ------------------------------------------------------------------------------------------------

CREATE TABLE journals (
    bucket       smallint NOT NULL,
    payment_id   uuid NOT NULL,
    id           uuid NOT NULL,
    attempt_id   uuid NOT NULL,
    effect       text NOT NULL,
    seq          smallint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT post_once PRIMARY KEY (bucket, payment_id, attempt_id, effect, seq)
) PARTITION BY RANGE (payment_id);

CREATE TABLE postings (
    bucket       smallint NOT NULL,
    payment_id   uuid NOT NULL,
    journal_id   uuid NOT NULL,
    line         smallint NOT NULL,
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,  -- test and live share names of ledger accounts, never a sum
    account      text NOT NULL,
    minor        bigint NOT NULL CHECK (minor <> 0),  -- debit positive, credit negative
    currency     char(3) NOT NULL,
    PRIMARY KEY (bucket, payment_id, journal_id, line)
) PARTITION BY RANGE (payment_id);
CREATE INDEX postings_of_account ON postings (merchant_id, livemode, account, currency, journal_id);

-- The second half of a pair of assertions; the first is in ledger/postings.py. Checked once a statement over all the
-- rows it added, which costs a tenth of a trigger and a foreign key for each row. What every statement adds to a journal
-- sums to zero, so a journal always does.
CREATE FUNCTION journal_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY bucket, payment_id, journal_id, currency HAVING sum(minor) <> 0) THEN
        RAISE EXCEPTION 'a journal does not balance' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM added a
                WHERE NOT EXISTS (SELECT FROM journals j
                                   WHERE j.bucket = a.bucket AND j.payment_id = a.payment_id
                                     AND j.id = a.journal_id)) THEN
        RAISE EXCEPTION 'a posting has no journal' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER journal_balances AFTER INSERT ON postings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION journal_balances();

CREATE FUNCTION attempt_has_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a
                WHERE NOT EXISTS (SELECT FROM payments p WHERE p.bucket = a.bucket AND p.id = a.payment_id)) THEN
        RAISE EXCEPTION 'an attempt has no payment' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER attempt_has_payment AFTER INSERT ON attempts
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION attempt_has_payment();

-- --- what became true -----------------------------------------------------------------------------------------

CREATE TABLE events (
    bucket          smallint NOT NULL,
    payment_id      uuid NOT NULL,
    id              uuid NOT NULL,
    merchant_id     uuid NOT NULL,
    livemode        boolean NOT NULL,
    attempt_id      uuid NOT NULL,
    type            text NOT NULL,
    object_version  integer NOT NULL,
    content         jsonb NOT NULL,
    -- The feed's order: a reader takes only what every running transaction has already passed.
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, payment_id, id)
) PARTITION BY RANGE (payment_id);
CREATE INDEX events_feed ON events (merchant_id, xid, id);

CREATE TABLE breaks (
    bucket                smallint NOT NULL,
    id                    uuid NOT NULL,
    kind                  text NOT NULL,
    merchant_id           uuid,
    payment_id            uuid,
    attempt_id            uuid,
    connector_account_id  uuid,
    detail                jsonb NOT NULL,
    natural_key           text NOT NULL,  -- the same contradiction, told twice, is one break
    opened_at             timestamptz NOT NULL DEFAULT now(),
    closed_at             timestamptz,
    PRIMARY KEY (bucket, id)
);
CREATE UNIQUE INDEX break_once ON breaks (bucket, natural_key) WHERE closed_at IS NULL;
CREATE INDEX breaks_open ON breaks (opened_at) WHERE closed_at IS NULL;

CREATE TABLE audit (
    bucket      smallint NOT NULL,
    id          uuid NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    object      text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, id)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a correction is a new row', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON postings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- --- partitions -----------------------------------------------------------------------------------------------

-- The smallest UUIDv7 of a moment.
CREATE FUNCTION first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the monthly partitions from this month to `ahead` months on; says how many were new. Months are UTC.
-- Runs as the owner, so that the worker, which may create nothing, can still call it.
CREATE FUNCTION make_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamp;
    child text;
    room text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scrooge.make_partitions'));
    FOREACH parent IN ARRAY ARRAY['payments', 'attempts', 'journals', 'postings', 'events'] LOOP
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

-- A row outside every month still has a place: nothing may be lost because a partition was not made in time.
CREATE TABLE payments_rest PARTITION OF payments DEFAULT;
CREATE TABLE attempts_rest PARTITION OF attempts DEFAULT;
CREATE TABLE journals_rest PARTITION OF journals DEFAULT;
CREATE TABLE postings_rest PARTITION OF postings DEFAULT;
CREATE TABLE events_rest PARTITION OF events DEFAULT;
SELECT make_partitions(3);

-- --- grants ---------------------------------------------------------------------------------------------------

GRANT SELECT, INSERT ON
    merchants, callers, api_keys, connector_accounts, instruments, credentials, payment_references,
    idempotency_keys, inbox, payments, attempts, journals, postings, events, breaks, audit TO scrooge_app;
GRANT UPDATE ON api_keys, connector_accounts, instruments, inbox, payments, attempts, breaks TO scrooge_app;
-- The tokens of a deleted instrument go; keys past their retention go. Nothing else is ever deleted.
GRANT DELETE ON credentials, idempotency_keys TO scrooge_app;
REVOKE ALL ON FUNCTION make_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions(integer) TO scrooge_app;
GRANT SELECT ON
    merchants, callers, instruments, payment_references, idempotency_keys, payments, journals, postings, events,
    breaks, audit TO scrooge_reader;
-- Of attempts not what could be used again: the bytes that were sent, PSP tokens, where a payer is expected back.
GRANT SELECT (
    bucket, payment_id, id, number, operation, parent_id, connector_account_id, minor, currency, sale, final, state,
    closed, closed_at, approved_minor, authorized_minor, captured_minor, voided_minor, refunded_minor, held_minor,
    held_refund_minor, reference, caller_reference, psp_reference, network_transaction_id, checks, decline, raw_code,
    raw_message, network_code, advice_code, reason, expires_at, sent_at, concluded_at, recorded_at, ask_at, asks
) ON attempts TO scrooge_reader;
