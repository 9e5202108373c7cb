-- page :many
-- ($3 opened from, $4 opened before, $5 state or null, $6 reason or null, $7 means or null, $8 opened and $9 payment: those
-- before this place, $10 rows wanted, $11 rows looked at) Newest first; `last` says where to go on.
WITH seen AS MATERIALIZED (
    SELECT *
      FROM recoveries
     WHERE merchant_id = $1 AND livemode = $2 AND opened_at >= $3 AND opened_at < $4
       AND (opened_at, payment_id) < ($8::timestamptz, $9::uuid)
     ORDER BY opened_at DESC, payment_id DESC
     LIMIT $11
), kept AS (
    SELECT *
      FROM seen
     WHERE ($5::text IS NULL OR state = $5) AND ($6::text IS NULL OR reason = $6) AND ($7::text IS NULL OR means = $7)
     ORDER BY opened_at DESC, payment_id DESC
     LIMIT $10
)
SELECT (SELECT count(*) FROM seen) AS looked, last.opened_at AS last_opened, last.payment_id AS last_payment, k.*
  FROM (SELECT opened_at, payment_id FROM seen ORDER BY opened_at, payment_id LIMIT 1) last
  LEFT JOIN kept k ON true
 ORDER BY k.opened_at DESC, k.payment_id DESC;

-- summary :many
-- ($3 opened from, $4 opened before) `matured`: those whose time is over, whatever became of them.
SELECT currency, reason, means, why, control, state, count(*) AS count, sum(minor)::numeric AS minor,
       count(*) FILTER (WHERE retry_until <= now()) AS matured
  FROM recoveries
 WHERE merchant_id = $1 AND livemode = $2 AND opened_at >= $3 AND opened_at < $4
 GROUP BY currency, reason, means, why, control, state
 ORDER BY currency, count(*) DESC, reason, means, why, control, state;

-- under_mandates :many
-- ($1 buckets, $2 mandates) What waits under mandates that were withdrawn, or have another card. Only found here: each is
-- given its turn by its key, for a join that locks these rows may meet one that a worker is changing (ADR 13).
SELECT t.bucket, t.payment_id, t.seq
  FROM unnest($1::smallint[], $2::uuid[]) AS w(bucket, id)
  JOIN mandates m ON m.bucket = w.bucket AND m.id = w.id
  JOIN recoveries r ON r.mandate_id = m.id AND r.state = 'open'
  JOIN retries t ON t.bucket = r.bucket AND t.payment_id = r.payment_id AND t.due_at IS NOT NULL
 WHERE (m.status = 'revoked' OR m.instrument_id <> r.instrument_id)
   AND t.phase IN ('scheduled', 'needs_customer', 'looking')
 ORDER BY t.bucket, t.payment_id;

-- with_instrument :many
-- ($1 instrument) What only a newer card helps; what waits for money goes on waiting.
SELECT t.bucket, t.payment_id, t.seq
  FROM recoveries r
  JOIN retries t ON t.bucket = r.bucket AND t.payment_id = r.payment_id AND t.due_at IS NOT NULL
 WHERE r.instrument_id = $1 AND r.state = 'open' AND t.phase IN ('needs_customer', 'looking')
 ORDER BY t.bucket, t.payment_id;

-- waiting :one
-- Whose turn comes by itself.
SELECT count(*) FROM retries WHERE due_at IS NOT NULL AND coalesce(phase, state) <> 'needs_customer';

-- own :one
-- ($1 bucket, $2 payment) The mandate and the instrument of its last attempt that was not under another mandate.
SELECT mandate_id, instrument_id FROM recoveries WHERE bucket = $1 AND payment_id = $2;
