-- A browser's one chance to send a card. Whether it was taken, idempotency_keys knows: the card is kept under a key that
-- only this session has, in one commit with the card itself.
CREATE TABLE capture_sessions (
    digest         bytea PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the token, which is never kept
    id             uuid NOT NULL UNIQUE,
    vault_key_id   uuid NOT NULL REFERENCES vault_keys,
    merchant_id    uuid NOT NULL,
    livemode       boolean NOT NULL,
    customer       text NOT NULL,
    origin         text NOT NULL CHECK (origin ~ '^https?://[!-~]+$'),
    security_code  boolean NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    tries          smallint NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 10),
    attempt        bytea CHECK (length(attempt) = 32)  -- SHA-256 of the page's name for what it sent last
);
CREATE INDEX capture_sessions_expired ON capture_sessions (expires_at);

GRANT SELECT, INSERT, DELETE, UPDATE (tries, attempt) ON capture_sessions TO scrooge_vault;
