-- behind :many
-- ($1 rows) Endpoints for which the feed shows something that has not been spread to them yet; any of them, so that
-- those that have very much before them keep no other waiting.
SELECT e.bucket, e.id
  FROM webhook_endpoints e
 CROSS JOIN LATERAL (
       SELECT 1 FROM events v
        WHERE v.merchant_id = e.merchant_id AND (v.xid, v.id) > (e.cursor_xid, e.cursor_id)
          AND v.xid < pg_snapshot_xmin(pg_current_snapshot())
        LIMIT 1) shown
 WHERE e.enabled
 ORDER BY random()
 LIMIT $1;

-- hold :one
-- The endpoint's row is the lock for its cursor; whoever has it does the work, the others go on.
SELECT * FROM webhook_endpoints WHERE bucket = $1 AND id = $2 AND enabled FOR UPDATE SKIP LOCKED;

-- spread :none
-- ($1 bucket, $2 endpoint, $3 xid, $4 id: read to here, $5 deliveries) Deliveries and cursor move together.
WITH moved AS (
    UPDATE webhook_endpoints SET cursor_xid = $3::text::xid8, cursor_id = $4 WHERE bucket = $1 AND id = $2
)
INSERT INTO webhook_deliveries (bucket, id, endpoint_id, event_id, payment_id, type, origin)
SELECT $1, r.id, $2, r.event_id, r.payment_id, r.type, 'feed'
  FROM jsonb_to_recordset($5::jsonb) AS r(id uuid, event_id uuid, payment_id uuid, type text);

-- due :many
-- ($1 endpoints in hand, $2 failing ones too?, $3 rows) Endpoints that have something to be sent now; those that work
-- come first, so that those that do not can never keep them waiting.
SELECT e.*
  FROM webhook_endpoints e
 CROSS JOIN LATERAL (
       SELECT 1 FROM webhook_deliveries d
        WHERE d.bucket = e.bucket AND d.endpoint_id = e.id AND d.state = 'pending' AND d.due_at <= now()
        LIMIT 1) waiting
 WHERE e.enabled AND e.id <> ALL ($1::uuid[]) AND ($2 OR e.failing_since IS NULL)
 ORDER BY e.failing_since IS NOT NULL, random()
 LIMIT $3;

-- claim :many
-- ($1 bucket, $2 endpoint, $3 rows, $4 seconds) `due_at` moves out first: a crash costs one turn, no delivery.
WITH due AS MATERIALIZED (
    SELECT bucket, id
      FROM webhook_deliveries
     WHERE bucket = $1 AND endpoint_id = $2 AND state = 'pending' AND due_at <= now()
     ORDER BY due_at
     LIMIT $3
       FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries d
   SET tries = d.tries + 1, tried_at = now(), due_at = now() + make_interval(secs => $4)
  FROM due
 WHERE d.bucket = due.bucket AND d.id = due.id
RETURNING d.*;

-- contents :many
-- ($1 buckets, $2 payments, $3 events) The events that deliveries tell.
SELECT e.id, e.payment_id, e.attempt_id, e.type, e.object_version, e.content::text AS content, e.created_at
  FROM unnest($1::smallint[], $2::uuid[], $3::uuid[]) AS wanted(bucket, payment_id, id)
  JOIN events e ON e.bucket = wanted.bucket AND e.payment_id = wanted.payment_id AND e.id = wanted.id;

-- file :none
-- ($1 bucket, $2 what became of tries) What was taken stays taken, whoever says so; a failure counts only when nobody
-- has tried again since.
UPDATE webhook_deliveries d
   SET state = r.state, due_at = now() + make_interval(secs => r.due_in), status = r.status, error = r.error,
       reply = r.reply, milliseconds = r.milliseconds,
       delivered_at = CASE WHEN r.state = 'delivered' THEN now() END
  FROM jsonb_to_recordset($2::jsonb) AS r(
       id uuid, tries integer, state text, due_in double precision, status smallint, error text, reply text,
       milliseconds integer)
 WHERE d.bucket = $1 AND d.id = r.id AND d.state <> 'delivered'
   AND (r.state = 'delivered' OR (d.state = 'pending' AND d.tries = r.tries));

-- add_test :one
INSERT INTO webhook_deliveries (bucket, id, endpoint_id, event_id, type, origin)
VALUES ($1, $2, $3, $4, 'test', 'test')
RETURNING *;

-- page :many
-- ($1 bucket, $2 endpoint, $3 states, $4 ids before, $5 rows) Newest first, each state by the index.
SELECT d.*
  FROM unnest($3::text[]) AS wanted(state)
 CROSS JOIN LATERAL (
       SELECT * FROM webhook_deliveries x
        WHERE x.bucket = $1 AND x.endpoint_id = $2 AND x.state = wanted.state AND x.id < $4
        ORDER BY x.id DESC
        LIMIT $5) d
 ORDER BY d.id DESC
 LIMIT $5;

-- delivery :one
SELECT * FROM webhook_deliveries WHERE bucket = $1 AND id = $2;

-- retry :one
-- By hand, with a whole new schedule; also what was taken, for a receiver that lost it.
UPDATE webhook_deliveries
   SET state = 'pending', tries = 0, due_at = now(), delivered_at = NULL
 WHERE bucket = $1 AND id = $2
RETURNING *;

-- first_from :one
-- ($1 merchant, $2 xid) When the first event of this transaction or a later one was written.
SELECT created_at FROM events WHERE merchant_id = $1 AND xid >= $2::text::xid8 ORDER BY xid, id LIMIT 1;

-- next_xid :one
SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid, now() AS now;

-- add_replay :one
INSERT INTO webhook_replays (bucket, id, endpoint_id, from_at, to_at, from_id, to_id, cursor_xid, cursor_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::xid8, '00000000-0000-0000-0000-000000000000')
    ON CONFLICT DO NOTHING
RETURNING *;

-- one_replay :one
SELECT * FROM webhook_replays WHERE bucket = $1 AND id = $2;

-- replays :many
SELECT bucket, id FROM webhook_replays WHERE state = 'running' ORDER BY random() LIMIT $1;

-- hold_replay :one
SELECT r.*, e.merchant_id, e.livemode, e.events
  FROM webhook_replays r
  JOIN webhook_endpoints e ON e.bucket = r.bucket AND e.id = r.endpoint_id
 WHERE r.bucket = $1 AND r.id = $2 AND r.state = 'running'
   FOR UPDATE OF r SKIP LOCKED;

-- replay :none
-- ($1 bucket, $2 replay, $3 xid, $4 id, $5 endpoint, $6 deliveries, $7 done?)
WITH added AS (
    INSERT INTO webhook_deliveries (bucket, id, endpoint_id, event_id, payment_id, type, origin)
    SELECT $1, r.id, $5, r.event_id, r.payment_id, r.type, 'replay'
      FROM jsonb_to_recordset($6::jsonb) AS r(id uuid, event_id uuid, payment_id uuid, type text)
    RETURNING 1
)
UPDATE webhook_replays
   SET cursor_xid = $3::text::xid8, cursor_id = $4, made = made + (SELECT count(*) FROM added),
       state = CASE WHEN $7 THEN 'done' ELSE 'running' END, done_at = CASE WHEN $7 THEN now() END
 WHERE bucket = $1 AND id = $2;

-- forget :none
-- ($1 rows an endpoint) Deliveries that were taken more than a month ago, and those that a deleted endpoint never will.
DELETE FROM webhook_deliveries d
 USING (SELECT x.bucket, x.id
          FROM webhook_endpoints e
         CROSS JOIN LATERAL (
               SELECT bucket, id FROM webhook_deliveries
                WHERE bucket = e.bucket AND endpoint_id = e.id AND state = 'delivered'
                  AND id < first_id(now() - interval '30 days')
                ORDER BY id
                LIMIT $1) x
        UNION ALL
        SELECT x.bucket, x.id
          FROM webhook_endpoints e
         CROSS JOIN LATERAL (
               SELECT bucket, id FROM webhook_deliveries
                WHERE bucket = e.bucket AND endpoint_id = e.id AND state = ANY ('{pending,dead}')
                LIMIT $1) x
         WHERE e.deleted_at IS NOT NULL) old
 WHERE d.bucket = old.bucket AND d.id = old.id;

-- backlog :one
-- What the gauges show. Deliveries of endpoints that are disabled wait on purpose and are not late.
SELECT coalesce(max(extract(epoch FROM now() - first.due_at)), 0)::float8 AS oldest_seconds,
       (SELECT count(*) FROM webhook_endpoints e WHERE e.failing_since IS NOT NULL AND e.enabled) AS failing,
       (SELECT count(*) FROM webhook_endpoints e WHERE e.disabled_reason IN ('gone', 'failing')
           AND e.deleted_at IS NULL) AS disabled,
       (SELECT coalesce(sum(dead.count), 0)
          FROM webhook_endpoints e
         CROSS JOIN LATERAL (
               SELECT count(*) FROM (
                      SELECT 1 FROM webhook_deliveries
                       WHERE bucket = e.bucket AND endpoint_id = e.id AND state = 'dead' LIMIT 10000) counted) dead
         WHERE e.deleted_at IS NULL)::bigint AS dead
  FROM webhook_endpoints e
 CROSS JOIN LATERAL (
       SELECT due_at FROM webhook_deliveries
        WHERE bucket = e.bucket AND endpoint_id = e.id AND state = 'pending'
        ORDER BY due_at
        LIMIT 1) first
 WHERE e.enabled;
