-- The vault: cards sealed, who may ask, and a record of every act that nobody can change.
--
-- Nothing here is readable without the vault's keys but what may be shown of a card: brand, the issuer's digits, last
-- four and expiry. `key_id` is Tink's id of the key version that sealed a row.

CREATE TABLE cards (
    bucket           smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id               uuid NOT NULL,
    merchant_id      uuid NOT NULL,
    livemode         boolean NOT NULL,
    customer         text NOT NULL,
    brand            text NOT NULL,
    iin              text NOT NULL CHECK (iin ~ '^[0-9]{6,8}$'),
    last4            text NOT NULL CHECK (last4 ~ '^[0-9]{4}$'),
    exp              text NOT NULL CHECK (exp ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'expired', 'deleted')),
    sealed           bytea,  -- null once it is shredded
    key_id           bigint,
    fingerprint      bytea,
    fingerprint_key  bigint,
    created_at       timestamptz NOT NULL DEFAULT now(),
    used_at          timestamptz,
    changed_at       timestamptz NOT NULL DEFAULT now(),
    changed_xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (bucket, id),
    CONSTRAINT sealed_unless_gone CHECK ((status = 'active') = (sealed IS NOT NULL)),
    CONSTRAINT sealed_under_a_key CHECK ((sealed IS NULL) = (key_id IS NULL))
);
CREATE INDEX cards_changed ON cards (changed_xid, id);
CREATE INDEX cards_by_key ON cards (livemode, key_id) WHERE sealed IS NOT NULL;
CREATE INDEX cards_by_fingerprint_key ON cards (livemode, fingerprint_key) WHERE sealed IS NOT NULL;

-- A security code waits here for its authorization, minutes at most, sealed by a key that is only in memory. Unlogged:
-- it is in no WAL and no backup, and PostgreSQL empties the table after a crash.
CREATE UNLOGGED TABLE security_codes (
    bucket      smallint NOT NULL,
    card_id     uuid NOT NULL,
    sealed      bytea NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (bucket, card_id)
);
CREATE INDEX security_codes_expired ON security_codes (expires_at);

CREATE TABLE vault_keys (
    id           uuid PRIMARY KEY,
    merchant_id  uuid NOT NULL,
    caller       text NOT NULL CHECK (caller ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    digest       bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- SHA-256; the key itself is never kept
    hint         text NOT NULL,
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    livemode     boolean NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);

CREATE TABLE idempotency_keys (
    vault_key_id  uuid NOT NULL REFERENCES vault_keys,
    key           text NOT NULL,
    fingerprint   bytea NOT NULL,  -- keyed, for there is a card number in what was asked
    bucket        smallint NOT NULL,
    card_id       uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vault_key_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- Service tokens that were used, until they have run out by themselves.
CREATE TABLE service_tokens (
    id          text PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX service_tokens_expired ON service_tokens (expires_at);

-- --- audit: one chain of hashes per stream ------------------------------------------------------------------------

CREATE TABLE audit_heads (
    stream  text PRIMARY KEY,
    seq     bigint NOT NULL CHECK (seq >= 0),
    hash    bytea NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_heads (stream, seq, hash)
SELECT stream, 0, sha256(convert_to(stream, 'UTF8'))
  FROM (SELECT 'control' AS stream
        UNION ALL
        SELECT format('%s:%s', lane, lpad(shard::text, 2, '0'))
          FROM unnest(ARRAY['fill', 'tokenize', 'note']) AS lane, generate_series(0, 15) AS shard) AS streams;

CREATE TABLE audit (
    stream   text NOT NULL REFERENCES audit_heads,
    seq      bigint NOT NULL CHECK (seq > 0),
    at       timestamptz NOT NULL,
    who      text NOT NULL,
    act      text NOT NULL,
    object   text NOT NULL,
    outcome  text NOT NULL,
    origin   text NOT NULL,
    detail   text NOT NULL,  -- JSON, as it was hashed
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (stream, seq)
);
CREATE INDEX audit_of_object ON audit (object, at);
CREATE INDEX audit_by_time ON audit USING brin (at);

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

GRANT SELECT, INSERT ON cards, security_codes, vault_keys, idempotency_keys, service_tokens, audit TO scrooge_vault;
GRANT UPDATE (exp, status, sealed, key_id, fingerprint, fingerprint_key, used_at, changed_at, changed_xid)
    ON cards TO scrooge_vault;
GRANT UPDATE (revoked_at) ON vault_keys TO scrooge_vault;
GRANT UPDATE (sealed, expires_at), DELETE ON security_codes TO scrooge_vault;
GRANT DELETE ON service_tokens, idempotency_keys TO scrooge_vault;
GRANT SELECT, UPDATE (seq, hash) ON audit_heads TO scrooge_vault;
