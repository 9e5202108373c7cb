-- propose :one
-- ($10 seconds until it expires) The payment is locked: of several at once, one finds no other.
INSERT INTO decisions (bucket, id, merchant_id, payment_id, attempt_id, outcome, psp_reference, evidence, proposed_by,
                       expires_at, minor, currency)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10), $11, $12
 WHERE NOT EXISTS (
       SELECT 1 FROM decisions
        WHERE bucket = $1 AND payment_id = $4 AND attempt_id = $5 AND state = 'proposed' AND expires_at > now())
RETURNING *, false AS expired;

-- one :one
SELECT *, expires_at <= now() AS expired FROM decisions WHERE bucket = $1 AND id = $2;

-- hold :one
SELECT *, expires_at <= now() AS expired FROM decisions WHERE bucket = $1 AND id = $2 FOR UPDATE;

-- decide :one
-- ($3 state, $4 key, $5 note) Of two at once, one: nothing comes back to the other.
UPDATE decisions
   SET state = $3, decided_by = $4, decided_at = now(), note = $5
 WHERE bucket = $1 AND id = $2 AND state = 'proposed'
RETURNING *, false AS expired;

-- of_payment :many
SELECT *, expires_at <= now() AS expired FROM decisions WHERE bucket = $1 AND payment_id = $2 ORDER BY id DESC;

-- page :many
-- ($1 merchant, $2 livemode, $3 state or null, $4 before this id or null, $5 rows) Newest first.
SELECT d.*, d.expires_at <= now() AS expired
  FROM decisions d
  JOIN payments p ON p.bucket = d.bucket AND p.id = d.payment_id
 WHERE d.merchant_id = $1 AND p.livemode = $2
   AND ($3::text IS NULL
        OR CASE WHEN d.state = 'proposed' AND d.expires_at <= now() THEN 'expired' ELSE d.state END = $3)
   AND ($4::uuid IS NULL OR d.id < $4)
 ORDER BY d.id DESC
 LIMIT $5;
