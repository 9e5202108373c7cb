-- claim_attempts :many
-- Attempts whose outcome we do not know yet and whose time to ask has come, oldest first, each handed to one
-- worker only. Asking is spaced by pushing `ask_at` out before the question leaves; a crash loses one turn, no row.
UPDATE attempts a
   SET asks = a.asks + 1,
       ask_at = now() + least(interval '1 second' * $2 * power(2, least(a.asks, 10)), interval '1 second' * $3)
  FROM (SELECT bucket, payment_id, id
          FROM attempts
         WHERE ask_at <= now()
         ORDER BY ask_at
         LIMIT $1
           FOR UPDATE SKIP LOCKED) due
 WHERE a.bucket = due.bucket AND a.payment_id = due.payment_id AND a.id = due.id
RETURNING a.payment_id, a.id;

-- claim_attempt :one
-- The same for one attempt that somebody wants to know about now; not while its first request may still be out.
UPDATE attempts
   SET asks = asks + 1
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND ask_at IS NOT NULL AND (state <> 'sent' OR ask_at <= now())
RETURNING id;

-- claim_inbox :many
-- Unread notifications whose time has come. `due_at` moves out first, so that one that cannot be applied yet
-- waits its turn without holding up the others.
UPDATE inbox i
   SET tries = i.tries + 1,
       due_at = now() + least(interval '1 second' * power(2, least(i.tries, 12)), interval '1 hour')
  FROM (SELECT bucket, connector_account_id, event_id
          FROM inbox
         WHERE state = 'unread' AND due_at <= now()
         ORDER BY due_at
         LIMIT $1
           FOR UPDATE SKIP LOCKED) due
 WHERE i.bucket = due.bucket AND i.connector_account_id = due.connector_account_id AND i.event_id = due.event_id
RETURNING i.bucket, i.connector_account_id, i.event_id, i.kind, i.item::text, i.tries, i.received_at;

-- receive :one
-- Stored raw before it is answered. Told twice, kept once.
WITH kept AS (
    INSERT INTO inbox (bucket, connector_account_id, event_id, kind, item, raw, state)
    SELECT r.bucket, $1, r.event_id, r.kind, r.item, $3, r.state
      FROM jsonb_to_recordset($2::jsonb) AS r(bucket smallint, event_id text, kind text, item jsonb, state text)
        ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM kept;

-- file_notification :none
UPDATE inbox
   SET state = $4, note = $5, applied_at = now()
 WHERE bucket = $1 AND connector_account_id = $2 AND event_id = $3;

-- make_partitions :one
SELECT make_partitions($1);

-- forget_keys :none
-- Keys are kept longer than promised (30 days); references are kept for ever.
DELETE FROM idempotency_keys
 WHERE (bucket, caller_id, livemode, key) IN (
       SELECT bucket, caller_id, livemode, key
         FROM idempotency_keys
        WHERE created_at < now() - interval '90 days'
        LIMIT $1);

-- backlog :one
-- What the gauges show: ages in seconds.
SELECT (SELECT coalesce(extract(epoch FROM now() - min(sent_at)), 0)::float8 FROM attempts
         WHERE ask_at IS NOT NULL AND state IN ('sent', 'unknown')) AS oldest_unresolved_seconds,
       (SELECT count(*) FROM attempts WHERE ask_at IS NOT NULL AND state IN ('sent', 'unknown')) AS unresolved,
       (SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 FROM inbox
         WHERE state = 'unread') AS oldest_unread_seconds,
       (SELECT count(*) FROM inbox WHERE state = 'unread') AS unread,
       (SELECT count(*) FROM inbox WHERE state = 'unhandled') AS unhandled,
       (SELECT count(*) FROM breaks WHERE closed_at IS NULL) AS breaks_open,
       -- The feed shows nothing newer than the oldest transaction that is still writing.
       (SELECT coalesce(extract(epoch FROM now() - min(xact_start)), 0)::float8 FROM pg_stat_activity
         WHERE backend_xid IS NOT NULL AND datname = current_database()) AS hidden_event_seconds;

-- stop_asking :none
UPDATE attempts SET ask_at = NULL WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND state = 'approved';
