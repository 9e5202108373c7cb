-- cut :none
-- ($1 bucket, $2 batch, $3 lines, $4 lines of a chunk) Once: whoever comes second finds them there.
INSERT INTO batch_chunks (bucket, batch_id, number, first_line, last_line)
SELECT $1::smallint, $2::uuid, n, (n - 1) * $4::integer + 1, least(n * $4::integer, $3::integer)
  FROM generate_series(1, ($3::integer + $4::integer - 1) / $4::integer) AS n
 WHERE NOT EXISTS (SELECT FROM batch_chunks WHERE bucket = $1 AND batch_id = $2)
    ON CONFLICT DO NOTHING;

-- standing :many
-- ($1 buckets, $2 batches) Of each: is it cut, is anything left of it to claim or in hand, how many workers are at it, and
-- the merchant's name.
SELECT b.bucket, b.id, m.name AS merchant,
       EXISTS (SELECT FROM batch_chunks c WHERE c.bucket = b.bucket AND c.batch_id = b.id) AS cut,
       EXISTS (SELECT FROM batch_chunks c
                WHERE c.bucket = b.bucket AND c.batch_id = b.id AND c.done_at IS NULL) AS work,
       (SELECT count(DISTINCT c.leased_by) FROM batch_chunks c
         WHERE c.bucket = b.bucket AND c.batch_id = b.id AND c.done_at IS NULL AND c.epoch > 0
           AND c.leased_until > now()) AS workers
  FROM unnest($1::smallint[], $2::uuid[]) AS w(bucket, id)
  JOIN batches b ON b.bucket = w.bucket AND b.id = w.id
  JOIN merchants m ON m.id = b.merchant_id;

-- claim :one
-- ($1 bucket, $2 batch, $3 worker, $4 seconds) The next chunk that nobody has, or whose worker has not been heard of. None
-- of a batch that runs no more, and whoever stops it waits for us: what was not begun by then never is.
-- (Materialized: looked for again for each row that it is compared with, it would be another one each time.)
WITH running AS MATERIALIZED (
    SELECT FROM batches WHERE bucket = $1 AND id = $2 AND status = 'running' FOR SHARE
), free AS MATERIALIZED (
    SELECT number
      FROM batch_chunks
     WHERE bucket = $1 AND batch_id = $2 AND done_at IS NULL AND (leased_until IS NULL OR leased_until < now())
       AND EXISTS (SELECT FROM running)
     ORDER BY number
     LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE batch_chunks c
   SET epoch = c.epoch + 1, leased_by = $3, leased_until = now() + make_interval(secs => $4)
  FROM free
 WHERE c.bucket = $1 AND c.batch_id = $2 AND c.number = free.number
RETURNING c.number, c.first_line, c.last_line, c.epoch;

-- begun :many
-- ($1 worker, $2 seconds, $3 chunks) Chunks that were begun of batches that have ended, and whose worker is gone: what
-- became of their lines has to be looked up, and nothing more.
WITH over AS MATERIALIZED (
    SELECT k.bucket, k.batch_id, k.number
      FROM batch_chunks k
      JOIN batches b ON b.bucket = k.bucket AND b.id = k.batch_id AND b.ended_at IS NOT NULL
     WHERE k.leased_until < now() AND k.done_at IS NULL AND k.epoch > 0
     ORDER BY k.leased_until
     LIMIT $3
       FOR UPDATE OF k SKIP LOCKED
)
UPDATE batch_chunks c
   SET epoch = c.epoch + 1, leased_by = $1, leased_until = now() + make_interval(secs => $2)
  FROM over
 WHERE c.bucket = over.bucket AND c.batch_id = over.batch_id AND c.number = over.number
RETURNING c.bucket, c.batch_id, c.number, c.first_line, c.last_line, c.epoch;

-- renew :many
-- ($1 chunks as JSON, $2 seconds) Returns those that are still ours.
UPDATE batch_chunks c
   SET leased_until = now() + make_interval(secs => $2)
  FROM jsonb_to_recordset($1::jsonb) AS r(bucket smallint, batch_id uuid, number integer, epoch integer)
 WHERE c.bucket = r.bucket AND c.batch_id = r.batch_id AND c.number = r.number AND c.epoch = r.epoch
   AND c.done_at IS NULL
RETURNING c.batch_id, c.number;

-- let_go :none
-- ($4 epoch) Others may have it at once.
UPDATE batch_chunks
   SET leased_until = now()
 WHERE bucket = $1 AND batch_id = $2 AND number = $3 AND epoch = $4 AND done_at IS NULL;

-- held :one
-- ($4 epoch) Is the chunk still in these hands? Then it is until this transaction ends.
SELECT number
  FROM batch_chunks
 WHERE bucket = $1 AND batch_id = $2 AND number = $3 AND epoch = $4 AND done_at IS NULL
   FOR NO KEY UPDATE;

-- use_up :none
-- ($1 caller, $2 livemode, $3 buckets of keys, $4 keys) So that nobody makes a payment with them from now on; who is making
-- one is waited for. They are of no payment, and of no request.
INSERT INTO idempotency_keys (bucket, caller_id, livemode, key, fingerprint, payment_id, deadline_at)
SELECT k.bucket, $1, $2, k.key, decode(repeat('00', 32), 'hex'), '00000000-0000-0000-0000-000000000000', now()
  FROM unnest($3::smallint[], $4::text[]) AS k(bucket, key)
 ORDER BY k.bucket, k.key
    ON CONFLICT DO NOTHING;

-- lines :many
-- ($3 first line, $4 last line) What of a chunk has not ended.
SELECT line, reference, minor, currency, mandate_id, metadata::text AS metadata, retry_until
  FROM batch_lines
 WHERE bucket = $1 AND batch_id = $2 AND line BETWEEN $3 AND $4 AND state = 'queued'
 ORDER BY line;

-- known :many
-- ($1 merchant, $2 caller, $3 livemode, $4 lines, $5 buckets of their references, $6 references, $7 buckets of their keys,
-- $8 keys) Payments that have these references already, and whether these lines made them.
SELECT l.line, r.payment_id, k.payment_id IS NOT DISTINCT FROM r.payment_id AS ours
  FROM unnest($4::integer[], $5::smallint[], $6::text[], $7::smallint[], $8::text[])
       AS l(line, bucket, reference, key_bucket, key)
  JOIN payment_references r
    ON r.bucket = l.bucket AND r.merchant_id = $1 AND r.caller_id = $2 AND r.livemode = $3
   AND r.reference = l.reference
  LEFT JOIN idempotency_keys k
    ON k.bucket = l.key_bucket AND k.caller_id = $2 AND k.livemode = $3 AND k.key = l.key;

-- ended :none
-- ($1 bucket, $2 batch, $3 lines as JSON) Once each: what was written of a line stays. But a line of a batch whose payment
-- was made is done, whatever a worker that had lost the chunk tells.
UPDATE batch_lines l
   SET state = r.state, payment_id = r.payment_id, existing = r.existing, error = r.error
  FROM jsonb_to_recordset($3::jsonb) AS r(line integer, state text, payment_id uuid, existing boolean, error jsonb)
 WHERE l.bucket = $1 AND l.batch_id = $2 AND l.line = r.line
   AND (l.state = 'queued' OR (l.state = 'refused' AND r.existing IS FALSE));

-- recount :one
-- ($1 bucket, $2 batch, $3 chunk, $4 it is done) Counts a chunk's lines by their payments as these are now; a payment's
-- bucket is in its number. What is still open, or may be tried again, is counted again later and later.
WITH chunk AS (
    SELECT * FROM batch_chunks WHERE bucket = $1 AND batch_id = $2 AND number = $3
), seen AS (
    SELECT l.state, l.existing, p.status, p.status = 'declined' AND p.retry_until > now() AS waits
      FROM chunk c
      JOIN batch_lines l ON l.bucket = c.bucket AND l.batch_id = c.batch_id
       AND l.line BETWEEN c.first_line AND c.last_line
      LEFT JOIN payments p ON p.id = l.payment_id
       AND p.bucket = (('x' || right(l.payment_id::text, 4))::bit(16)::integer & 1023)::smallint
), told AS (
    SELECT count(*) FILTER (WHERE existing) AS existing,
           count(*) FILTER (WHERE status NOT IN ('declined', 'failed', 'processing', 'requires_action')) AS captured,
           count(*) FILTER (WHERE status = 'declined') AS declined,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status IN ('processing', 'requires_action')) AS processing,
           count(*) FILTER (WHERE state = 'refused') AS refused,
           coalesce(bool_or(status IN ('processing', 'requires_action') OR waits), false) AS moves
      FROM seen
)
UPDATE batch_chunks c
   SET existing = t.existing, captured = t.captured, declined = t.declined, failed = t.failed,
       processing = t.processing, refused = t.refused,
       done_at = CASE WHEN $4::boolean THEN coalesce(c.done_at, now()) ELSE c.done_at END,
       recount_at = CASE WHEN t.moves AND ($4::boolean OR c.done_at IS NOT NULL)
                         THEN now() + least(interval '1 hour', greatest(interval '1 second',
                                                                        (now() - coalesce(c.done_at, now())) / 4)) END
  FROM told t
 WHERE c.bucket = $1 AND c.batch_id = $2 AND c.number = $3
RETURNING c.epoch;

-- to_recount :many
-- ($1 chunks) The next turn is pushed out before anybody counts.
WITH due AS MATERIALIZED (
    SELECT bucket, batch_id, number
      FROM batch_chunks
     WHERE recount_at <= now()
     ORDER BY recount_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE batch_chunks c
   SET recount_at = now() + interval '1 minute'
  FROM due
 WHERE c.bucket = due.bucket AND c.batch_id = due.batch_id AND c.number = due.number
RETURNING c.bucket, c.batch_id, c.number;

-- progress :one
-- ($1 bucket, $2 batch) Sums over its chunks; and how many lines ended in the last minute of work, in how many seconds.
SELECT coalesce(sum(existing), 0)::integer AS existing, coalesce(sum(captured), 0)::integer AS captured,
       coalesce(sum(declined), 0)::integer AS declined, coalesce(sum(failed), 0)::integer AS failed,
       coalesce(sum(processing), 0)::integer AS processing, coalesce(sum(refused), 0)::integer AS refused,
       coalesce(bool_or(epoch > 0 AND done_at IS NULL), false) AS open,
       coalesce(sum(captured + declined + failed + processing + refused)
                FILTER (WHERE done_at > now() - interval '1 minute'), 0)::integer AS recent,
       coalesce(extract(epoch FROM now() - min(done_at) FILTER (WHERE done_at > now() - interval '1 minute')), 0)::float8
           AS seconds
  FROM batch_chunks
 WHERE bucket = $1 AND batch_id = $2;

-- backlog :one
-- Batches at work, and lines of theirs that have not been begun, for the metrics.
SELECT count(*) FILTER (WHERE b.status = 'running') AS running,
       count(*) FILTER (WHERE b.status = 'paused') AS paused,
       coalesce(sum((SELECT sum(c.last_line - c.first_line + 1) FROM batch_chunks c
                      WHERE c.bucket = b.bucket AND c.batch_id = b.id AND c.done_at IS NULL)), 0)::bigint AS lines
  FROM batches b
 WHERE b.status IN ('running', 'paused');
