-- add :many
-- ($9 seconds until they run out, $10 the audit's stream, $11 to $16 its records)
WITH added AS (
    INSERT INTO capture_sessions (digest, id, vault_key_id, merchant_id, livemode, customer, origin, security_code,
                                  expires_at)
    SELECT digest, id, vault_key_id, merchant_id, livemode, customer, origin, security_code,
           now() + make_interval(secs => seconds)
      FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[], $6::text[], $7::text[], $8::boolean[],
                  $9::integer[])
           AS s(digest, id, vault_key_id, merchant_id, livemode, customer, origin, security_code, seconds)
    RETURNING digest, created_at, expires_at
), told AS MATERIALIZED (
    SELECT append_audit($10, $11, $12, $13, $14, $15, $16) AS records
)
SELECT a.digest, a.created_at, a.expires_at FROM added a, told t WHERE t.records > 0;

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
