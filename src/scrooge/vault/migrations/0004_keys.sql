-- The vault's own keys: what each is for, its state, and its material, wrapped by a key that is not in this database.

-- The key-encryption keys, of which one is in use. `check_value` is a known text that only the right one opens; a key
-- that custodians bring in shares has how many it takes, and a salt for the commitments to its shares.
CREATE TABLE key_encryption_keys (
    id           text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    uri          text NOT NULL,
    threshold    smallint CHECK (threshold BETWEEN 2 AND 16),
    salt         bytea,
    check_value  bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    not_after    timestamptz NOT NULL,
    retired_at   timestamptz,
    CHECK ((threshold IS NULL) = (salt IS NULL))
);
CREATE UNIQUE INDEX one_key_encryption_key ON key_encryption_keys ((true)) WHERE retired_at IS NULL;

CREATE TABLE key_shares (
    kek_id           text NOT NULL REFERENCES key_encryption_keys,
    number           smallint NOT NULL CHECK (number BETWEEN 1 AND 16),
    custodian        text NOT NULL CHECK (custodian ~ '^[a-z0-9][a-z0-9@._-]{0,63}$'),
    commitment       bytea NOT NULL CHECK (length(commitment) = 32),
    acknowledged_at  timestamptz,  -- when the custodian accepted the duties of one
    PRIMARY KEY (kek_id, number),
    UNIQUE (kek_id, custodian)
);

CREATE TABLE key_versions (
    key_id        bigint PRIMARY KEY CHECK (key_id BETWEEN 1 AND 4294967295),  -- Tink's
    purpose       text NOT NULL CHECK (purpose IN ('card', 'fingerprint', 'registry')),
    livemode      boolean NOT NULL,
    version       integer NOT NULL CHECK (version > 0),
    state         text NOT NULL CHECK (state IN ('pre_active', 'active', 'decrypt_only', 'destroyed')),
    created_at    timestamptz NOT NULL,
    not_after     timestamptz NOT NULL,
    active_at     timestamptz,
    retired_at    timestamptz,
    destroyed_at  timestamptz,
    compromised   boolean NOT NULL DEFAULT false,
    mac           bytea NOT NULL,  -- over all of the above, by the registry key
    UNIQUE (purpose, livemode, version),
    CHECK ((state = 'destroyed') = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_active_key ON key_versions (purpose, livemode) WHERE state = 'active';
CREATE UNIQUE INDEX one_key_to_come ON key_versions (purpose, livemode) WHERE state = 'pre_active';

-- A key is destroyed by deleting its row here.
CREATE TABLE keysets (
    key_id    bigint PRIMARY KEY REFERENCES key_versions,
    livemode  boolean NOT NULL,
    kek_id    text NOT NULL REFERENCES key_encryption_keys,
    wrapped   bytea NOT NULL,
    UNIQUE (livemode, key_id)
);

-- No card is sealed under a key that is gone or of the other mode, and none loses the key that opens it. Cards from
-- before there were such keys are not looked at: none was released.
ALTER TABLE cards ADD CONSTRAINT sealed_under_a_kept_key
    FOREIGN KEY (livemode, key_id) REFERENCES keysets (livemode, key_id) NOT VALID;

GRANT SELECT, INSERT ON key_encryption_keys, key_shares, key_versions, keysets TO scrooge_vault;
GRANT UPDATE (retired_at) ON key_encryption_keys TO scrooge_vault;
GRANT UPDATE (acknowledged_at) ON key_shares TO scrooge_vault;
GRANT UPDATE (state, active_at, retired_at, destroyed_at, compromised, mac) ON key_versions TO scrooge_vault;
GRANT UPDATE (kek_id, wrapped), DELETE ON keysets TO scrooge_vault;
