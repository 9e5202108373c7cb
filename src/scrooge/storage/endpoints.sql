-- add :one
-- Begins with what is not yet shown in the feed: no event that commits after this is missed. $8: the most a merchant
-- may have in one mode.
INSERT INTO webhook_endpoints (bucket, id, merchant_id, livemode, url, events, description, secrets, cursor_xid, cursor_id)
SELECT $1, $2, $3, $4, $5, $6, $7, $9, pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000'
 WHERE (SELECT count(*) FROM webhook_endpoints WHERE merchant_id = $3 AND livemode = $4 AND deleted_at IS NULL) < $8
RETURNING *;

-- of_merchant :many
SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND livemode = $2 AND deleted_at IS NULL ORDER BY id DESC;

-- one :one
SELECT * FROM webhook_endpoints WHERE bucket = $1 AND id = $2 AND deleted_at IS NULL;

-- change :one
-- What is null stays. Enabling forgets the failures; the feed goes on where it stopped.
UPDATE webhook_endpoints
   SET url = coalesce($3, url), events = coalesce($4, events), description = coalesce($5, description),
       enabled = coalesce($6, enabled),
       disabled_reason = CASE WHEN coalesce($6, enabled) THEN NULL ELSE coalesce(disabled_reason, 'merchant') END,
       failing_since = CASE WHEN $6 THEN NULL ELSE failing_since END
 WHERE bucket = $1 AND id = $2 AND deleted_at IS NULL
RETURNING *;

-- rotate :one
-- ($3 the new sealed secrets, $4 seconds of overlap, $5 those they were made from) Nothing when somebody else rotated.
UPDATE webhook_endpoints
   SET secrets = $3, previous_until = now() + make_interval(secs => $4)
 WHERE bucket = $1 AND id = $2 AND deleted_at IS NULL AND secrets = $5
RETURNING *;

-- remove :one
-- Its replays end with it. What still waits to be delivered is forgotten by and by: it may be very much.
WITH removed AS (
    UPDATE webhook_endpoints
       SET deleted_at = now(), enabled = false, disabled_reason = 'merchant', secrets = '', url = ''
     WHERE bucket = $1 AND id = $2 AND deleted_at IS NULL
    RETURNING bucket, id
), ended AS (
    UPDATE webhook_replays r
       SET state = 'done', done_at = now()
      FROM removed
     WHERE r.bucket = removed.bucket AND r.endpoint_id = removed.id AND r.state = 'running'
)
SELECT id FROM removed;

-- disable :one
-- By ourselves: it is gone, or has taken nothing for too long.
UPDATE webhook_endpoints
   SET enabled = false, disabled_reason = $3
 WHERE bucket = $1 AND id = $2 AND enabled
RETURNING id;

-- failed :one
-- Remembers since when nothing was taken; says for how many seconds now.
UPDATE webhook_endpoints
   SET failing_since = coalesce(failing_since, now())
 WHERE bucket = $1 AND id = $2
RETURNING extract(epoch FROM now() - failing_since)::float8 AS seconds;

-- recovered :none
UPDATE webhook_endpoints SET failing_since = NULL WHERE bucket = $1 AND id = $2 AND failing_since IS NOT NULL;

-- close_break :none
UPDATE breaks SET closed_at = now() WHERE bucket = 0 AND natural_key = $1 AND closed_at IS NULL;
