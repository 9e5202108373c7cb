-- caller :one
SELECT id, merchant_id, caller, scopes, livemode FROM vault_keys WHERE digest = $1 AND revoked_at IS NULL;

-- add_caller :none
INSERT INTO vault_keys (id, merchant_id, caller, digest, hint, scopes, livemode) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- revoke_caller :one
UPDATE vault_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- callers :many
-- Without the one that the core's own sessions hang on.
SELECT id, merchant_id, caller, hint, scopes, livemode, created_at, revoked_at
  FROM vault_keys
 WHERE id <> '00000000-0000-0000-0000-000000000000'
 ORDER BY created_at, id;
