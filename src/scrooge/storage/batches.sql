-- add :one
-- ($1 bucket, $2 id, $3 merchant, $4 caller, $5 livemode, $6 key, $7 fingerprint, $8 name, $9 kind, $10 not before,
-- $11 deadline, $12 pacing, $13 on health alarm, $14 retry until, $15 descriptor) Nothing comes back for a key that was used before.
INSERT INTO batches (bucket, id, merchant_id, caller_id, livemode, key, fingerprint, name, kind, not_before, deadline,
                     pacing, on_health_alarm, retry_until, descriptor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14, $15)
    ON CONFLICT (bucket, caller_id, livemode, key) DO NOTHING
RETURNING *, pacing::text AS pace;

-- of_key :one
SELECT *, pacing::text AS pace FROM batches WHERE bucket = $1 AND caller_id = $2 AND livemode = $3 AND key = $4;

-- one :one
SELECT *, pacing::text AS pace FROM batches WHERE bucket = $1 AND id = $2;

-- page :many
-- ($1 merchant, $2 livemode, $3 before this id or null, $4 status or null, $5 rows) Newest first.
SELECT *, pacing::text AS pace
  FROM batches
 WHERE merchant_id = $1 AND livemode = $2 AND ($3::uuid IS NULL OR id < $3) AND ($4::text IS NULL OR status = $4)
 ORDER BY id DESC
 LIMIT $5;

-- in_status :many
-- ($1 statuses) Those at work, oldest first.
SELECT *, pacing::text AS pace
  FROM batches
 WHERE status IN ('validating', 'ready', 'running', 'paused') AND status = ANY ($1::text[])
 ORDER BY id;

-- move :one
-- ($1 bucket, $2 id, $3 status it has, $4 act, $5 status it gets, $6 author, $7 because) Nothing comes back when it has
-- another status by now.
WITH moved AS (
    UPDATE batches
       SET status = $5, because = $7, version = version + 1, changed_at = now(),
           started_at = CASE WHEN $5 = 'running' THEN coalesce(started_at, now()) ELSE started_at END,
           ended_at = CASE WHEN $5 IN ('completed', 'canceled', 'expired') THEN now() END
     WHERE bucket = $1 AND id = $2 AND status = $3
    RETURNING *
), noted AS (
    INSERT INTO batch_acts (bucket, batch_id, number, act, status, author, because)
    SELECT bucket, id, version, $4, $5, $6, $7 FROM moved
)
SELECT *, pacing::text AS pace FROM moved;

-- acts :many
SELECT number, act, status, author, because, created_at
  FROM batch_acts
 WHERE bucket = $1 AND batch_id = $2
 ORDER BY number;
