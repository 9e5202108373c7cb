-- principals :many
SELECT k.digest, k.id, k.scopes, k.livemode, c.id AS caller_id, c.name AS caller, m.id AS merchant_id, m.name AS merchant
  FROM api_keys k JOIN callers c ON c.id = k.caller_id JOIN merchants m ON m.id = c.merchant_id
 WHERE k.digest = ANY ($1::bytea[]) AND k.revoked_at IS NULL;

-- add_merchant :none
INSERT INTO merchants (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- merchant :one
SELECT id FROM merchants WHERE name = $1;

-- add_caller :none
INSERT INTO callers (id, merchant_id, name) VALUES ($1, $2, $3) ON CONFLICT (merchant_id, name) DO NOTHING;

-- caller :one
SELECT id FROM callers WHERE merchant_id = $1 AND name = $2;

-- caller_names :many
SELECT id, name FROM callers;

-- add_key :none
INSERT INTO api_keys (id, caller_id, digest, hint, scopes, livemode) VALUES ($1, $2, $3, $4, $5, $6);

-- keys :many
SELECT k.id, k.hint, k.scopes, k.livemode, k.created_at, k.revoked_at, c.name AS caller, m.name AS merchant
  FROM api_keys k JOIN callers c ON c.id = k.caller_id JOIN merchants m ON m.id = c.merchant_id
 ORDER BY k.created_at;

-- revoke_key :one
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id;

-- accounts :many
SELECT id, merchant_id, name, connector, merchant_account, livemode, credentials, base_url, state, created_at,
       acquirer_country
  FROM connector_accounts
 ORDER BY created_at, id;

-- add_account :one
INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode, credentials, base_url,
                                acquirer_country)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (merchant_id, name) DO NOTHING
RETURNING id;

-- change_credentials :none
UPDATE connector_accounts SET credentials = $2, base_url = coalesce($3, base_url) WHERE id = $1;

-- set_acquirer_country :none
UPDATE connector_accounts SET acquirer_country = $2 WHERE id = $1;

-- set_state :none
UPDATE connector_accounts SET state = $2 WHERE id = $1;

-- audit :none
INSERT INTO audit (bucket, id, actor, action, object, detail) VALUES ($1, $2, $3, $4, $5, $6::jsonb);
