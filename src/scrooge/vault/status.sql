-- cards :many
-- The one look at every card; an index would not help it.
SELECT livemode, status, brand, count(*) AS cards, min(created_at) AS oldest, max(used_at) AS used
  FROM cards
 GROUP BY livemode, status, brand
 ORDER BY livemode, status, brand;

-- rest :one
SELECT (SELECT count(*) FROM security_codes WHERE expires_at > now() AND sealed <> '') AS codes_waiting,
       (SELECT count(*) FROM security_codes WHERE expires_at <= now() AND sealed <> '') AS codes_run_out,
       (SELECT coalesce(sum(seq), 0) FROM audit_heads)::bigint AS audit_records,
       pg_total_relation_size('audit') AS audit_bytes,
       pg_database_size(current_database()) AS database_bytes,
       (SELECT count(*) FROM idempotency_keys) AS idempotency_keys,
       (SELECT count(*) FROM service_tokens) AS service_tokens,
       (SELECT count(*) FROM vault_keys WHERE revoked_at IS NULL AND id <> '00000000-0000-0000-0000-000000000000') AS vault_keys,
       now() AS at;
