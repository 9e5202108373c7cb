-- page :many
-- ($1 merchant, $2 livemode, $3 open? null: both, $4 kind or null, $5 before this id or null, $6 rows) Newest first. What
-- does not say its mode and is about no connector account is of both.
SELECT b.*, b.detail::text AS details
  FROM breaks b
  LEFT JOIN connector_accounts c ON c.id = b.connector_account_id
 WHERE (b.merchant_id = $1 OR c.merchant_id = $1) AND (coalesce(b.livemode, c.livemode) = $2) IS NOT FALSE
   AND ($3::boolean IS NULL OR (b.closed_at IS NULL) = $3)
   AND ($4::text IS NULL OR b.kind = $4)
   AND ($5::uuid IS NULL OR b.id < $5)
 ORDER BY b.id DESC
 LIMIT $6;

-- one :one
SELECT b.*, b.detail::text AS details
  FROM breaks b
  LEFT JOIN connector_accounts c ON c.id = b.connector_account_id
 WHERE b.bucket = $1 AND b.id = $2 AND (b.merchant_id = $3 OR c.merchant_id = $3) AND (coalesce(b.livemode, c.livemode) = $4) IS NOT FALSE;

-- close :one
-- Nothing comes back when somebody closed it before.
UPDATE breaks
   SET closed_at = now(), closed_by = $3, note = $4
 WHERE bucket = $1 AND id = $2 AND closed_at IS NULL
RETURNING *, detail::text AS details;

-- ages :many
-- What is in doubt, by connector account, state and age (a bound of $1 that it has reached; 0: none). All that is open is
-- asked about within hours; the authorizations that only wait for their expiry, days from now, are not looked at.
SELECT c.id AS account,
       CASE WHEN a.state = 'sent' THEN 'unknown' ELSE a.state END AS state,
       width_bucket(extract(epoch FROM now() - coalesce(CASE WHEN a.state = 'reversing' THEN a.concluded_at END, a.sent_at)),
                    $1::numeric[]) AS age,
       count(*) AS attempts,
       coalesce(max(extract(epoch FROM now() - a.sent_at)), 0)::float8 AS oldest_seconds
  FROM connector_accounts c
 CROSS JOIN LATERAL (
       SELECT state, sent_at, concluded_at
         FROM attempts
        WHERE connector_account_id = c.id AND ask_at < now() + interval '7 hours'
          AND state IN ('sent', 'unknown', 'pending', 'reversing')) a
 GROUP BY 1, 2, 3;

-- overdue :many
-- ($1 accounts: [{account, pending: {operation: seconds}}], $2 seconds, $3 rows) In doubt for longer than $2, or pending
-- for longer than is usual at the PSP; no break says so yet, and none that was closed since.
SELECT a.payment_id, a.id
  FROM jsonb_to_recordset($1::jsonb) AS r(account uuid, pending jsonb)
 CROSS JOIN LATERAL (
       SELECT a.payment_id, a.id
         FROM attempts a
        WHERE a.connector_account_id = r.account AND a.ask_at < now() + interval '7 hours'
          AND a.state IN ('sent', 'unknown', 'pending', 'reversing')
          AND coalesce(CASE WHEN a.state = 'reversing' THEN a.concluded_at END, a.sent_at) < now() - make_interval(
              secs => greatest($2, CASE WHEN a.state = 'pending' THEN (r.pending ->> a.operation)::float8 END))
          AND NOT EXISTS (
              SELECT 1 FROM breaks b
               WHERE b.bucket = a.bucket AND b.attempt_id = a.id AND b.kind = 'unresolved_too_long'
                 AND (b.closed_at > now() - make_interval(secs => $2)) IS NOT FALSE)
        LIMIT $3) a
 LIMIT $3;

-- close_resolved :many
-- What was in doubt for too long and is so no more needs nobody's eyes.
UPDATE breaks b
   SET closed_at = now(), closed_by = 'worker', note = 'it was resolved: ' || a.state
  FROM attempts a
 WHERE b.kind = 'unresolved_too_long' AND b.closed_at IS NULL
   AND a.bucket = b.bucket AND a.payment_id = b.payment_id AND a.id = b.attempt_id
   AND a.state NOT IN ('sent', 'unknown', 'pending', 'reversing')
RETURNING b.attempt_id;
