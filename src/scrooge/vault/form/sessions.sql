-- add :one
-- ($9 seconds until it runs out)
INSERT INTO capture_sessions (digest, id, vault_key_id, merchant_id, livemode, customer, origin, security_code, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
RETURNING created_at, expires_at;

-- find :one
-- ($2 the key under which a session's card is kept begins with $2) A revoked key's sessions are over too.
SELECT s.*, s.expires_at <= now() OR v.revoked_at IS NOT NULL AS over, (k.key IS NOT NULL) AS used
  FROM capture_sessions s
  JOIN vault_keys v ON v.id = s.vault_key_id
  LEFT JOIN idempotency_keys k ON k.vault_key_id = s.vault_key_id AND k.key = $2 || s.id
 WHERE s.digest = $1;

-- try :one
-- ($2 the page's name for what it sends) One of the tries that a session has; none is left where this finds nothing.
UPDATE capture_sessions SET tries = tries + 1, attempt = $2 WHERE digest = $1 AND tries < 10 RETURNING tries;
