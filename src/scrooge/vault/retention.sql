-- moment :one
SELECT now() AS at;

-- shred :many
-- ($1 to $2 buckets, $3 month before which an expiry is too long ago, $4 moment since which a card must have been used,
-- null: none, $5 rows) What could be opened is gone; the row stays, for what it says of the card.
WITH due AS (
    SELECT bucket, id, CASE WHEN exp < $3 THEN 'expired' ELSE 'unused' END AS reason
      FROM cards
     WHERE bucket BETWEEN $1 AND $2 AND status = 'active'
       AND (exp < $3 OR coalesce(used_at, created_at) < $4::timestamptz)
     ORDER BY bucket, id
     LIMIT $5
       FOR UPDATE SKIP LOCKED
), codes AS (
    DELETE FROM security_codes s USING due WHERE s.bucket = due.bucket AND s.card_id = due.id
)
UPDATE cards c
   SET status = 'expired', sealed = NULL, key_id = NULL, fingerprint = NULL, fingerprint_key = NULL, changed_at = now(),
       changed_xid = pg_current_xact_id()
  FROM due
 WHERE c.bucket = due.bucket AND c.id = due.id
RETURNING c.id, c.livemode, due.reason;

-- forget :many
-- ($1 bucket, $2 merchant, $3 customer) Every card of a customer, in both modes.
WITH codes AS (
    DELETE FROM security_codes s
     USING cards c
     WHERE c.bucket = $1 AND c.merchant_id = $2 AND c.customer = $3 AND s.bucket = c.bucket AND s.card_id = c.id
)
UPDATE cards
   SET status = 'deleted', sealed = NULL, key_id = NULL, fingerprint = NULL, fingerprint_key = NULL, changed_at = now(),
       changed_xid = pg_current_xact_id()
 WHERE bucket = $1 AND merchant_id = $2 AND customer = $3 AND status <> 'deleted'
RETURNING id, livemode;
