-- claim_attempts :many
-- ($1 accounts: [{account, room, first, most, pending_most}], $2 rows in all, $3 seconds of lease) Attempts whose
-- outcome we do not know yet and whose time to ask has come, each handed to one worker only, account by account:
-- the oldest, and for a quarter of the room the newest, which must not wait for an outage's backlog. Asking is spaced
-- by pushing `ask_at` out before the question leaves; a crash loses one turn, no row. `asks` is the lease's epoch.
WITH accounts AS (
    SELECT *
      FROM jsonb_to_recordset($1::jsonb) AS r(
           account uuid, room integer, first float8, most float8, pending_most float8)
), ripe AS MATERIALIZED (
    SELECT r.first, r.most, r.pending_most, due.*, row_number() OVER (PARTITION BY r.account, due.newest) AS place
      FROM accounts r
     CROSS JOIN LATERAL (
           SELECT * FROM (
               SELECT a.bucket, a.payment_id, a.id, false AS newest
                 FROM attempts a
                WHERE a.connector_account_id = r.account AND a.ask_at <= now()
                  AND (a.leased_until <= now()) IS NOT FALSE
                ORDER BY a.ask_at
                LIMIT r.room - r.room / 4
                  FOR UPDATE SKIP LOCKED) oldest
           UNION ALL
           SELECT * FROM (
               SELECT a.bucket, a.payment_id, a.id, true
                 FROM attempts a
                WHERE a.connector_account_id = r.account AND a.ask_at <= now()
                  AND (a.leased_until <= now()) IS NOT FALSE
                ORDER BY a.ask_at DESC
                LIMIT r.room / 4
                  FOR UPDATE SKIP LOCKED) newest) due
), chosen AS (
    SELECT * FROM ripe ORDER BY place LIMIT $2
)
UPDATE attempts a
   SET asks = a.asks + 1,
       leased_until = now() + make_interval(secs => $3),
       ask_at = now() + make_interval(secs => least(
           c.first * power(2, least(a.asks, 20)),
           CASE WHEN a.state IN ('sent', 'unknown', 'action_required') THEN c.most ELSE c.pending_most END))
  FROM chosen c
 WHERE a.bucket = c.bucket AND a.payment_id = c.payment_id AND a.id = c.id
RETURNING a.payment_id, a.id, a.connector_account_id, a.asks;

-- claim_attempt :one
-- ($4 seconds of lease) The same for one attempt that somebody wants to know about now; not while its first request
-- may still be out, nor while somebody else is asking.
UPDATE attempts
   SET asks = asks + 1, leased_until = now() + make_interval(secs => $4)
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND ask_at IS NOT NULL AND (state <> 'sent' OR ask_at <= now())
   AND (leased_until <= now()) IS NOT FALSE
RETURNING asks;

-- renew_lease :one
-- ($4 the epoch, $5 seconds) Before each question, by this clock alone: nothing comes back when the lease ran out or
-- is somebody else's by now.
UPDATE attempts
   SET leased_until = now() + make_interval(secs => $5)
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND asks = $4 AND leased_until > now()
RETURNING id;

-- lease_held :one
-- Within the transaction that concludes from it; the payment's rows are locked.
SELECT id
  FROM attempts
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND asks = $4 AND leased_until > now();

-- stored_for :one
-- The PSP answers the attempt's key with a stored failure: since when that is known, in seconds.
UPDATE attempts
   SET stored_at = coalesce(stored_at, now())
 WHERE bucket = $1 AND payment_id = $2 AND id = $3
RETURNING extract(epoch FROM now() - stored_at)::float8 AS seconds;

-- end_lease :none
UPDATE attempts
   SET leased_until = NULL
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND asks = $4;

-- claim_inbox :many
-- Unread notifications whose time has come. `due_at` moves out first, so that one that cannot be applied yet
-- waits its turn without holding up the others.
WITH due AS MATERIALIZED (
    SELECT bucket, connector_account_id, event_id
      FROM inbox
     WHERE state = 'unread' AND due_at <= now()
     ORDER BY due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE inbox i
   SET tries = i.tries + 1,
       due_at = now() + least(interval '1 second' * power(2, least(i.tries, 12)), interval '1 hour')
  FROM due
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
-- What the gauges show: ages in seconds. A notification that was looked at and waits for its next turn is not late.
SELECT (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM inbox
         WHERE state = 'unread' AND due_at <= now()) AS oldest_unread_seconds,
       (SELECT count(*) FROM inbox WHERE state = 'unread') AS unread,
       (SELECT count(*) FROM inbox WHERE state = 'unhandled') AS unhandled,
       (SELECT count(*) FROM breaks WHERE closed_at IS NULL) AS breaks_open,
       -- The feed shows nothing newer than the oldest transaction that is still writing. Whose that is, only an
       -- administrator may see; what waits behind it, we may.
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(e.created_at)), 0)::float8
          FROM merchants m
         CROSS JOIN LATERAL (SELECT created_at
                               FROM events
                              WHERE merchant_id = m.id AND xid >= pg_snapshot_xmin(pg_current_snapshot())
                              ORDER BY xid, id
                              LIMIT 1) e) AS hidden_event_seconds;

-- stop_asking :none
UPDATE attempts SET ask_at = NULL WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND state = 'approved';
