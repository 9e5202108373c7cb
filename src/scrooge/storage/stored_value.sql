-- open :one
-- ($1 bucket, $2 id, $3 merchant, $4 caller, $5 livemode, $6 reference, $7 customer, $8 currency, $9 purpose,
-- $10 instrument, $11 expires at, $12 connector account, $13 its token there, $14 bucket of the key, $15 key,
-- $16 fingerprint) With the key that it uses up and the instrument that pays from it. Nothing comes back when the key or
-- the reference is taken.
WITH keyed AS (
    INSERT INTO idempotency_keys (bucket, caller_id, livemode, key, fingerprint, payment_id, deadline_at)
    VALUES ($14, $4, $5, $15, $16, $2, now())
        ON CONFLICT DO NOTHING
    RETURNING payment_id
), account AS (
    INSERT INTO stored_value_accounts (bucket, id, merchant_id, caller_id, livemode, reference, customer, currency,
                                       purpose, instrument_id, expires_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM keyed
        ON CONFLICT DO NOTHING
    RETURNING *
), instrument AS (
    INSERT INTO instruments (bucket, id, merchant_id, livemode, customer, stored_value_id)
    SELECT bucket, instrument_id, merchant_id, livemode, customer, id FROM account
), credential AS (
    INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token)
    SELECT bucket, instrument_id, $12, 0, $13 FROM account
)
SELECT * FROM account;

-- claim_key :one
-- ($6 the id of what it makes) Nothing comes back when it exists, after waiting for whoever is writing it.
INSERT INTO idempotency_keys (bucket, caller_id, livemode, key, fingerprint, payment_id, deadline_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
    ON CONFLICT DO NOTHING
RETURNING payment_id;

-- key :one
SELECT fingerprint, payment_id FROM idempotency_keys WHERE bucket = $1 AND caller_id = $2 AND livemode = $3 AND key = $4;

-- one :one
SELECT * FROM stored_value_accounts WHERE bucket = $1 AND id = $2;

-- of_reference :one
SELECT *
  FROM stored_value_accounts
 WHERE bucket = $1 AND merchant_id = $2 AND caller_id = $3 AND livemode = $4 AND reference = $5;

-- of_customer :many
-- ($4 ids before, $5 rows) Newest first.
SELECT *
  FROM stored_value_accounts
 WHERE merchant_id = $1 AND customer = $2 AND livemode = $3 AND id < $4
 ORDER BY id DESC
 LIMIT $5;

-- close :one
-- Nothing comes back while there is anything on it.
UPDATE stored_value_accounts
   SET closed_at = coalesce(closed_at, now())
 WHERE bucket = $1 AND id = $2 AND available_minor = 0 AND held_minor = 0
RETURNING *;

-- move :many
-- ($1 moves: JSON array)
SELECT * FROM move_stored_value($1::jsonb);

-- statement :many
-- ($3 before this number, $4 rows) Newest first; what was declined moved nothing.
SELECT *
  FROM stored_value_moves
 WHERE bucket = $1 AND account_id = $2 AND number < $3 AND declined IS NULL
 ORDER BY number DESC
 LIMIT $4;

-- move_of_id :one
SELECT * FROM stored_value_moves WHERE bucket = $1 AND account_id = $2 AND id = $3;

-- move_of_reference :one
SELECT * FROM stored_value_moves WHERE bucket = $1 AND account_id = $2 AND reference = $3;

-- announce :none
INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
VALUES ($1, $2, $3, $4, $5, $2, $6, $7, $8::jsonb);

-- expired :many
-- ($1 rows) Those that have expired with something on them, longest ago first.
SELECT * FROM stored_value_accounts
 WHERE expires_at <= now() AND available_minor > 0
 ORDER BY expires_at
 LIMIT $1;
