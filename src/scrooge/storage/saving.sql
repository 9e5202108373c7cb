-- to_learn :many
-- Approved, and not learned from. Not locked: whoever takes one, says so.
SELECT bucket, payment_id, id FROM attempts WHERE teaches IS NOT NULL AND state = 'approved' LIMIT $1;

-- take :one
-- Compare-and-set, in the transaction that learns: two workers cannot both.
UPDATE attempts SET teaches = NULL
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND teaches IS NOT NULL AND state = 'approved'
RETURNING connector_account_id, psp_token, psp_customer, network_transaction_id;

-- teaches :one
SELECT a.teaches, p.id, p.mandate_id, p.save_for, p.save_terms, p.initiator, p.merchant_id, p.caller_id, p.livemode, p.customer, p.created_at
  FROM attempts a JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id
 WHERE a.bucket = $1 AND a.payment_id = $2 AND a.id = $3;

-- lock :one
-- Nobody deletes the instrument, or gives it another credential, before this is over.
SELECT deleted_at IS NOT NULL AS deleted, vault, card_status, brand, last4, exp, customer, livemode, merchant_id,
       network_transaction_id
  FROM instruments
 WHERE bucket = $1 AND id = $2
   FOR UPDATE;

-- name_first_payment :none
UPDATE instruments SET network_transaction_id = $3 WHERE bucket = $1 AND id = $2 AND network_transaction_id IS NULL;

-- token_at :one
SELECT psp_token FROM credentials WHERE bucket = $1 AND instrument_id = $2 AND connector_account_id = $3;

-- save_token :none
-- Behind those that are there: the order in which they are tried.
INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token, psp_customer, source)
SELECT $1, $2, $3, coalesce(max(position) + 1, 0), $4, $5, 'saved'
  FROM credentials
 WHERE bucket = $1 AND instrument_id = $2;

-- of_token :many
-- The instruments that a token of an account belongs to.
SELECT c.bucket, c.instrument_id, c.psp_customer, i.customer, i.merchant_id, i.livemode
  FROM credentials c JOIN instruments i ON i.bucket = c.bucket AND i.id = c.instrument_id
 WHERE c.connector_account_id = $1 AND c.psp_token = $2;

-- drop_token :one
DELETE FROM credentials
 WHERE bucket = $1 AND instrument_id = $2 AND connector_account_id = $3 AND psp_token = $4
RETURNING psp_token;

-- mark_updated :none
UPDATE credentials SET source = 'updated'
 WHERE bucket = $1 AND instrument_id = $2 AND connector_account_id = $3 AND psp_token = $4;

-- renew :none
-- A card with another number is another card to the vault, which has the old one; its IIN may be another, too.
UPDATE instruments
   SET last4 = $3, exp = $4, 
       renewed_at = CASE WHEN last4 IS NULL OR exp IS NULL THEN renewed_at ELSE now() END,
       brand = CASE WHEN last4 IS DISTINCT FROM $3 THEN coalesce($5, brand) ELSE brand END,
       iin = CASE WHEN last4 IS DISTINCT FROM $3 THEN NULL ELSE iin END,
       card_status = CASE WHEN last4 IS DISTINCT FROM $3 AND card_status IN ('active', 'expired') THEN 'replaced'
                          ELSE card_status END
 WHERE bucket = $1 AND id = $2;
