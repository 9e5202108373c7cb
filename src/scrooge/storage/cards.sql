-- learn :one
-- A card of the vault that we were asked about and did not know. One that we know is left alone: its changes come in
-- the vault's own order, by `hear`, and this look at it may be older than they are.
INSERT INTO instruments (
       bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, fingerprint, vault, card_status,
       network_transaction_id)
SELECT r.bucket, r.id, r.merchant_id, r.livemode, r.customer, r.brand, r.iin, r.last4, r.exp, r.fingerprint, true,
       r.status, r.network_transaction_id
  FROM jsonb_to_record($1::jsonb) AS r(
       bucket smallint, id uuid, merchant_id uuid, livemode boolean, customer text, brand text, iin text, last4 text,
       exp text, fingerprint text, status text, network_transaction_id text)
    ON CONFLICT (bucket, id) DO NOTHING
RETURNING id;

-- hear :many
-- ($1 cards as the vault tells of them, in its order, each once) Those of merchants we do not have are none of ours.
-- That a card's number was replaced, only PSPs tell us: the vault cannot know, so it cannot take it back. Comes back:
-- what the vault deleted and we still have.
WITH told AS (
    SELECT r.*
      FROM jsonb_to_recordset($1::jsonb) AS r(
           bucket smallint, id uuid, merchant_id uuid, livemode boolean, customer text, brand text, iin text, last4 text,
           exp text, fingerprint text, status text, network_transaction_id text)
      JOIN merchants m ON m.id = r.merchant_id
), written AS (
    INSERT INTO instruments (
           bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, fingerprint, vault, card_status,
           network_transaction_id)
    SELECT bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, fingerprint, true, status,
           network_transaction_id
      FROM told
     ORDER BY bucket, id
        ON CONFLICT (bucket, id) DO UPDATE
       SET network_transaction_id = coalesce(instruments.network_transaction_id, excluded.network_transaction_id),
           brand = excluded.brand, iin = excluded.iin, fingerprint = excluded.fingerprint,
           last4 = CASE WHEN instruments.card_status = 'replaced' THEN instruments.last4 ELSE excluded.last4 END,
           exp = CASE WHEN instruments.card_status = 'replaced' THEN instruments.exp
                      ELSE greatest(instruments.exp, excluded.exp) END,  -- a PSP may have told us before the vault hears
           card_status = CASE WHEN instruments.card_status = 'replaced' AND excluded.card_status = 'active'
                              THEN 'replaced' ELSE excluded.card_status END
     WHERE instruments.vault AND instruments.merchant_id = excluded.merchant_id
       AND instruments.livemode = excluded.livemode
    RETURNING bucket, id, card_status, deleted_at
)
SELECT bucket, id FROM written WHERE card_status = 'deleted' AND deleted_at IS NULL;

-- renamed :many
-- ($1 as for hear) Cards that the vault called otherwise until now.
SELECT i.id, i.merchant_id, i.livemode, i.fingerprint AS before, r.fingerprint AS after
  FROM jsonb_to_recordset($1::jsonb) AS r(bucket smallint, id uuid, merchant_id uuid, livemode boolean, fingerprint text)
  JOIN instruments i ON i.bucket = r.bucket AND i.id = r.id
 WHERE i.vault AND i.merchant_id = r.merchant_id AND i.livemode = r.livemode
   AND i.fingerprint IS NOT NULL AND i.fingerprint IS DISTINCT FROM r.fingerprint;

-- position :one
SELECT position FROM cursors WHERE name = $1;

-- begin :none
INSERT INTO cursors (name, position) VALUES ($1, '') ON CONFLICT DO NOTHING;

-- move :one
-- Compare-and-set: a reader that was overtaken moves nothing, and undoes what it wrote.
UPDATE cursors SET position = $3, moved_at = now() WHERE name = $1 AND position = $2 RETURNING name;
