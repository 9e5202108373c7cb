-- look_at_import :one
-- A file that was looked at before is looked at anew; one whose import has begun stays as it is.
INSERT INTO transfers (id, kind, merchant_id, livemode, state, digest, report, looked_at_by)
VALUES ($1, 'import', $2, $3, 'looked_at', $4, $5, $6)
ON CONFLICT (merchant_id, livemode, digest) WHERE kind = 'import' DO UPDATE
   SET report = CASE WHEN transfers.state = 'looked_at' THEN excluded.report ELSE transfers.report END,
       looked_at_by = excluded.looked_at_by, looked_at = now()
RETURNING id;

-- look_at_export :one
INSERT INTO transfers (id, kind, merchant_id, livemode, state, digest, report, looked_at_by, customer, recipient, until)
VALUES ($1, 'export', $2, $3, 'looked_at', $4, $5, $6, $7, $8, $9)
RETURNING id;

-- import_of :one
SELECT * FROM transfers WHERE kind = 'import' AND merchant_id = $1 AND livemode = $2 AND digest = $3;

-- export_of :one
-- The newest of a selection and recipient in one of these states.
SELECT *, approved_at < now() - make_interval(hours => $6) AS run_out
  FROM transfers
 WHERE kind = 'export' AND merchant_id = $1 AND livemode = $2 AND customer IS NOT DISTINCT FROM $3 AND recipient = $4
   AND state = ANY($5)
 ORDER BY looked_at DESC
 LIMIT 1;

-- transfer :one
SELECT * FROM transfers WHERE id = $1;

-- transfers :many
SELECT * FROM transfers ORDER BY looked_at DESC LIMIT 100;

-- begin :one
UPDATE transfers SET state = 'running' WHERE id = $1 AND state IN ('looked_at', 'approved', 'running') RETURNING id;

-- request :one
UPDATE transfers SET state = 'requested', requested_by = $2, requested_at = now()
 WHERE id = $1 AND kind = 'export' AND state = 'looked_at'
RETURNING id;

-- approve :one
UPDATE transfers SET state = 'approved', approved_by = $2, approved_at = now()
 WHERE id = $1 AND kind = 'export' AND state = 'requested' AND requested_by <> $2
   AND requested_at > now() - make_interval(hours => $3)
RETURNING id;

-- finish :one
UPDATE transfers SET state = 'done', finished_at = now(), file_digest = $2 WHERE id = $1 AND state = 'running' RETURNING id;

-- chunks :many
SELECT chunk, cards, counts, frame_digest, to_bucket, to_id, is_last FROM transfer_chunks WHERE transfer_id = $1 ORDER BY chunk;

-- drop_chunks :none
DELETE FROM transfer_chunks WHERE transfer_id = $1 AND chunk >= $2;

-- --- imports ------------------------------------------------------------------------------------------------------

-- claim_chunk :one
-- Nothing comes back when it was done before; who is at it now is waited for.
INSERT INTO transfer_chunks (transfer_id, chunk, cards, counts) VALUES ($1, $2, $3, '{}') ON CONFLICT DO NOTHING
RETURNING chunk;

-- count_chunk :none
UPDATE transfer_chunks SET counts = $3 WHERE transfer_id = $1 AND chunk = $2;

-- mapped :many
SELECT source_id FROM transfer_cards WHERE transfer_id = $1 AND source_id = ANY($2::text[]);

-- known :many
-- ($1 merchant, $2 mode, $3 buckets, $4 fingerprints) Cards that are here already. Fenced: a plan made while the table was
-- empty must find them by their fingerprints too.
SELECT c.bucket, c.id, c.customer, c.exp, c.fingerprint
  FROM unnest($3::smallint[], $4::bytea[]) AS w(bucket, fingerprint)
 CROSS JOIN LATERAL (
       SELECT * FROM cards WHERE bucket = w.bucket AND fingerprint = w.fingerprint AND sealed IS NOT NULL OFFSET 0
       ) AS c
 WHERE c.merchant_id = $1 AND c.livemode = $2 AND c.status = 'active'
 ORDER BY c.created_at DESC;

-- add :none
INSERT INTO cards (bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, sealed, key_id, fingerprint,
                   fingerprint_key, network_transaction_id)
SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::boolean[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::bytea[], $11::bigint[], $12::bytea[], $13::bigint[], $14::text[]);

-- map :none
INSERT INTO transfer_cards (transfer_id, source_id, bucket, card_id, is_new)
SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::uuid[], $5::boolean[]);

-- mapping :many
SELECT source_id, card_id, is_new FROM transfer_cards
 WHERE transfer_id = $1 AND source_id > $2
 ORDER BY source_id
 LIMIT $3;

-- --- exports ------------------------------------------------------------------------------------------------------

-- moment :one
SELECT now() AS at;

-- chosen :many
-- ($1 bucket and $2 id to go on after, $3 merchant, $4 mode, $5 customer or null, $6 made until, $7 rows) With those that
-- ended since: what was chosen stays the same, what is still there is exported.
SELECT bucket, id, customer, exp, status, sealed, fingerprint, network_transaction_id
  FROM cards
 WHERE (bucket, id) > ($1::smallint, $2::uuid) AND merchant_id = $3 AND livemode = $4
   AND ($5::text IS NULL OR customer = $5) AND created_at <= $6 AND (status = 'active' OR changed_at > $6)
 ORDER BY bucket, id
 LIMIT $7;

-- exported :none
INSERT INTO transfer_chunks (transfer_id, chunk, cards, counts, frame_digest, to_bucket, to_id, is_last)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (transfer_id, chunk) DO UPDATE
   SET cards = excluded.cards, counts = excluded.counts, frame_digest = excluded.frame_digest,
       to_bucket = excluded.to_bucket, to_id = excluded.to_id, is_last = excluded.is_last;
