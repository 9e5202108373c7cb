-- Cards that are not under the keys in use now.

-- began :one
SELECT now() AS at;

-- left :one
-- ($1, $2 card keys in use of test and live, $3, $4 fingerprint keys, $5 when the work began)
SELECT count(*) FILTER (WHERE (key_id <> CASE WHEN livemode THEN $2::bigint ELSE $1 END
                               OR fingerprint_key <> CASE WHEN livemode THEN $4::bigint ELSE $3 END)
                          AND (unopened_at IS NULL OR unopened_at < $5)) AS cards,
       count(*) AS all
  FROM cards
 WHERE sealed IS NOT NULL;

-- claim_sealed :many
-- A batch under this key that nobody else holds, without cards that did not open since the work began.
SELECT bucket, id, merchant_id, livemode, sealed
  FROM cards
 WHERE livemode = $1 AND key_id = $2 AND sealed IS NOT NULL
   AND (unopened_at IS NULL OR unopened_at < $4)
 LIMIT $3
   FOR NO KEY UPDATE SKIP LOCKED;

-- claim_fingerprinted :many
SELECT bucket, id, merchant_id, livemode, sealed
  FROM cards
 WHERE livemode = $1 AND fingerprint_key = $2 AND sealed IS NOT NULL
   AND (unopened_at IS NULL OR unopened_at < $4)
 LIMIT $3
   FOR NO KEY UPDATE SKIP LOCKED;

-- keep :none
-- The feed tells of a card whose fingerprint is another now; of one that was only sealed anew there is nothing to tell.
UPDATE cards c
   SET sealed = n.sealed, key_id = n.key_id, fingerprint = n.fingerprint, fingerprint_key = n.fingerprint_key,
       unopened_at = NULL,
       changed_at = CASE WHEN c.fingerprint = n.fingerprint THEN c.changed_at ELSE now() END,
       changed_xid = CASE WHEN c.fingerprint = n.fingerprint THEN c.changed_xid ELSE pg_current_xact_id() END
  FROM unnest($1::smallint[], $2::uuid[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[])
       AS n(bucket, id, sealed, key_id, fingerprint, fingerprint_key)
 WHERE c.bucket = n.bucket AND c.id = n.id;

-- leave :none
-- They did not open: they stay as they are.
UPDATE cards c
   SET unopened_at = now()
  FROM unnest($1::smallint[], $2::uuid[]) AS n(bucket, id)
 WHERE c.bucket = n.bucket AND c.id = n.id;
