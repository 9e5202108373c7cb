-- newest :many
-- ($1 merchant, $2 livemode, $3 ids before, $4 ids from, $5 made from, $6 made before, $7 status or null,
-- $8 customer or null, $9 rows wanted, $10 rows looked at)
-- Payments newest first. A filter that almost nothing passes must not read the whole table: at most $10 rows are
-- looked at, and `last` says where to go on. The first row is there even when nothing passed.
WITH seen AS MATERIALIZED (
    SELECT bucket, id, livemode, status, customer, created_at, part_of
      FROM payments
     WHERE merchant_id = $1 AND id < $3 AND id >= $4
     ORDER BY id DESC
     LIMIT $10
), kept AS (
    SELECT bucket, id
      FROM seen
     WHERE livemode = $2 AND created_at >= $5 AND created_at < $6 AND part_of IS NULL
       AND ($7::text IS NULL OR status = $7) AND ($8::text IS NULL OR customer = $8)
     ORDER BY id DESC
     LIMIT $9
), place AS (
    SELECT (SELECT id FROM seen ORDER BY id LIMIT 1) AS last, (SELECT count(*) FROM seen) AS looked
)
SELECT place.last, place.looked, kept.id AS found, p.*,
       (SELECT jsonb_agg(to_jsonb(a) - 'request' ORDER BY a.number)
          FROM attempts a
         WHERE a.bucket = p.bucket AND a.payment_id = p.id)::text AS tries,
       CASE WHEN p.retry_until IS NOT NULL THEN
            (SELECT to_jsonb(r) FROM retries r
              WHERE r.bucket = p.bucket AND r.payment_id = p.id
              ORDER BY r.seq DESC LIMIT 1)::text END AS retry
  FROM place
  LEFT JOIN kept ON true
  LEFT JOIN payments p ON p.bucket = kept.bucket AND p.id = kept.id
 ORDER BY kept.id DESC;

-- callers_of :many
SELECT id FROM callers WHERE merchant_id = $1;

-- of_reference :many
-- ($1 buckets, $2 callers: where each caller's payment with this reference would be, $3 merchant, $4 livemode,
-- $5 reference) One caller has one payment with a reference, so there are as many as there are callers at most.
SELECT p.*,
       (SELECT jsonb_agg(to_jsonb(a) - 'request' ORDER BY a.number)
          FROM attempts a
         WHERE a.bucket = p.bucket AND a.payment_id = p.id)::text AS tries,
       CASE WHEN p.retry_until IS NOT NULL THEN
            (SELECT to_jsonb(r) FROM retries r
              WHERE r.bucket = p.bucket AND r.payment_id = p.id
              ORDER BY r.seq DESC LIMIT 1)::text END AS retry
  FROM unnest($1::smallint[], $2::uuid[]) AS asked(bucket, caller_id)
  JOIN payment_references r
    ON r.bucket = asked.bucket AND r.merchant_id = $3 AND r.caller_id = asked.caller_id AND r.livemode = $4
   AND r.reference = $5
  JOIN payments p ON p.bucket = r.bucket AND p.id = r.payment_id
 WHERE p.id < $6 AND p.created_at >= $7 AND p.created_at < $8
   AND ($9::text IS NULL OR p.status = $9) AND ($10::text IS NULL OR p.customer = $10)
 ORDER BY p.id DESC
 LIMIT $11;

-- cards :many
-- ($1 buckets, $2 ids) What may be shown of instruments, deleted ones too: payments name them for ever.
SELECT i.id, i.brand, i.iin, i.last4, i.exp
  FROM unnest($1::smallint[], $2::uuid[]) AS wanted(bucket, id)
  JOIN instruments i ON i.bucket = wanted.bucket AND i.id = wanted.id;

-- events_of :many
SELECT id, type, attempt_id, object_version, content::text AS content, created_at
  FROM events
 WHERE bucket = $1 AND payment_id = $2
 ORDER BY id;

-- feed :many
-- ($1 merchant, $2 livemode, $3 xid, $4 id: after these, $5 types or null, $6 rows wanted, $7 rows looked at)
-- Only what every running transaction has passed: an event that commits late can never appear behind a reader.
WITH seen AS MATERIALIZED (
    SELECT id, payment_id, attempt_id, livemode, type, object_version, content, xid, created_at
      FROM events
     WHERE merchant_id = $1 AND (xid, id) > ($3::text::xid8, $4::uuid)
       AND xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY xid, id
     LIMIT $7
), kept AS (
    SELECT *
      FROM seen
     WHERE livemode = $2 AND ($5::text[] IS NULL OR type = ANY ($5))
     ORDER BY xid, id
     LIMIT $6
), place AS (
    SELECT s.xid::text AS last_xid, s.id AS last_id, (SELECT count(*) FROM seen) AS looked
      FROM seen s
     ORDER BY s.xid DESC, s.id DESC
     LIMIT 1
)
SELECT place.last_xid, place.last_id, place.looked, kept.xid::text AS xid, kept.id, kept.payment_id,
       kept.attempt_id, kept.type, kept.object_version, kept.content::text AS content, kept.created_at
  FROM place
  LEFT JOIN kept ON true
 ORDER BY kept.xid, kept.id;

-- account_health :one
-- ($1 merchant, $2 connector account, $3 ids from, $4 payments looked at) The attempts to authorize of the newest
-- payments: found through the merchant's index, so that asking for health costs the same on any day.
WITH recent AS MATERIALIZED (
    SELECT bucket, id FROM payments WHERE merchant_id = $1 AND id >= $3 ORDER BY id DESC LIMIT $4
), tried AS (
    SELECT a.state, extract(epoch FROM a.concluded_at - a.sent_at) * 1000 AS ms
      FROM recent r
      JOIN attempts a ON a.bucket = r.bucket AND a.payment_id = r.id
     WHERE a.connector_account_id = $2 AND a.operation = 'authorize'
)
SELECT count(*) AS attempts,
       count(*) FILTER (WHERE state IN ('approved', 'reversed')) AS approved,
       count(*) FILTER (WHERE state = 'declined') AS declined,
       count(*) FILTER (WHERE state = 'rejected') AS rejected,
       count(*) FILTER (WHERE state IN ('sent', 'unknown', 'pending', 'action_required')) AS open,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::float8 AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY ms)::float8 AS p95
  FROM tried;

-- account_unresolved :one
-- Attempts whose outcome is lost are few, and all of them are in the index of what is to be asked about.
SELECT count(*) AS unresolved, min(sent_at) AS oldest
  FROM attempts
 WHERE ask_at IS NOT NULL AND connector_account_id = $1 AND state IN ('sent', 'unknown');
