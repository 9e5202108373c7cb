-- claim_keys :many
-- ($1 vault keys, $2 idempotency keys, $3 fingerprints, $4 buckets, $5 cards) The card that each key stands for: the
-- one that is offered, or the one of an earlier request.
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::smallint[], $5::uuid[])
                  AS w(vault_key_id, key, fingerprint, bucket, card_id)
), claimed AS (
    INSERT INTO idempotency_keys (vault_key_id, key, fingerprint, bucket, card_id)
    SELECT * FROM wanted
    ON CONFLICT (vault_key_id, key) DO NOTHING
    RETURNING vault_key_id, key
)
SELECT w.card_id AS offered, (c.key IS NOT NULL) AS fresh
  FROM wanted w LEFT JOIN claimed c ON c.vault_key_id = w.vault_key_id AND c.key = w.key;

-- key :one
SELECT fingerprint, bucket, card_id FROM idempotency_keys WHERE vault_key_id = $1 AND key = $2;

-- add :none
INSERT INTO cards (bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, sealed, key_id, fingerprint,
                   fingerprint_key)
SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::boolean[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::bytea[], $11::bigint[], $12::bytea[], $13::bigint[]);

-- add_codes :none
INSERT INTO security_codes (bucket, card_id, sealed, expires_at)
SELECT bucket, card_id, sealed, now() + make_interval(mins => $4)
  FROM unnest($1::smallint[], $2::uuid[], $3::bytea[]) AS c(bucket, card_id, sealed)
ON CONFLICT (bucket, card_id) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at, request = NULL,
                                            answer = NULL;

-- read :one
SELECT * FROM cards WHERE bucket = $1 AND id = $2;

-- claim_fills :many
-- ($1 places, $2 buckets, $3 cards, $4 merchants, $5 modes, $6 requests, $7 tokens, $8 when they run out) What each fill
-- gets: its card and, where this is the request that the card's security code is bound to or the first one, that code, or
-- the answer that ended it. `fresh` is false for a token that was used before.
WITH wanted AS (
    SELECT * FROM unnest($1::integer[], $2::smallint[], $3::uuid[], $4::uuid[], $5::boolean[], $6::bytea[], $7::text[],
                         $8::timestamptz[])
                  AS w(place, bucket, card_id, merchant_id, livemode, request, token, expires_at)
), used AS (
    INSERT INTO service_tokens (id, expires_at)
    SELECT token, expires_at FROM wanted
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), found AS (
    SELECT w.place, w.token, w.request, c.*
      FROM wanted w
      JOIN cards c ON c.bucket = w.bucket AND c.id = w.card_id AND c.merchant_id = w.merchant_id
                  AND c.livemode = w.livemode
), bound AS (
    UPDATE security_codes s
       SET request = f.request
      FROM found f, used u
     WHERE s.bucket = f.bucket AND s.card_id = f.id AND u.id = f.token AND f.status = 'active'
       AND s.expires_at > now() AND coalesce(s.request, f.request) = f.request
    RETURNING s.bucket, s.card_id, s.sealed, s.answer
)
SELECT w.place, (u.id IS NOT NULL) AS fresh, f.status, f.sealed, f.brand, b.sealed AS code, b.answer,
       (f.used_at IS NULL OR f.used_at < now() - interval '1 day') AS idle
  FROM wanted w
  LEFT JOIN used u ON u.id = w.token
  LEFT JOIN found f ON f.place = w.place
  LEFT JOIN bound b ON b.bucket = f.bucket AND b.card_id = f.id;

-- coded :many
-- ($1 places, $2 cards, $3 attempts) Which of these requests left with a security code, before today's of them: that is
-- on record for as long as any PSP knows a request again.
SELECT w.place
  FROM unnest($1::integer[], $2::text[], $3::text[]) AS w(place, object, attempt)
 WHERE EXISTS (SELECT FROM audit a
                WHERE a.object = w.object AND a.at > now() - interval '31 days' AND a.act = 'fill' AND a.outcome = 'done'
                  AND a.detail::jsonb ->> 'attempt' = w.attempt AND a.detail::jsonb -> 'security_code' = 'true'::jsonb);

-- ended :none
-- ($1 buckets, $2 cards, $3 requests, $4 answers) The authorization is over: the code goes, and the answer waits for a
-- core that did not hear it.
UPDATE security_codes s
   SET sealed = '', answer = e.answer
  FROM unnest($1::smallint[], $2::uuid[], $3::bytea[], $4::bytea[]) AS e(bucket, card_id, request, answer)
 WHERE s.bucket = e.bucket AND s.card_id = e.card_id AND s.request = e.request;

-- used :none
-- Once a day for a card is enough to know whether it is of use. Whoever holds the row writes the same, or ends it.
WITH idle AS (
    SELECT c.bucket, c.id
      FROM unnest($1::smallint[], $2::uuid[]) AS k(bucket, id)
      JOIN cards c ON c.bucket = k.bucket AND c.id = k.id
       FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE cards c SET used_at = now() FROM idle WHERE c.bucket = idle.bucket AND c.id = idle.id;

-- use_token :one
INSERT INTO service_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id;

-- shred :one
-- The row stays, for what it says of the card; what could be opened is gone. One that retention shredded is deleted too.
UPDATE cards
   SET status = $4, sealed = NULL, key_id = NULL, fingerprint = NULL, fingerprint_key = NULL, changed_at = now(),
       changed_xid = pg_current_xact_id()
 WHERE bucket = $1 AND id = $2 AND merchant_id = $3 AND status <> 'deleted'
RETURNING id;

-- shred_code :none
DELETE FROM security_codes WHERE bucket = $1 AND card_id = $2;

-- reseal :one
-- ($3 as it was sealed when it was read) Compare-and-set: nobody else changed it meanwhile.
UPDATE cards
   SET exp = $4, sealed = $5, key_id = $6, changed_at = now(), changed_xid = pg_current_xact_id()
 WHERE bucket = $1 AND id = $2 AND sealed = $3
RETURNING id;

-- changes :many
-- ($1 xid and $2 id to go on after, $3 rows) None of a transaction that may still commit earlier ones.
SELECT changed_xid::text AS xid, bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, status, fingerprint,
       network_transaction_id, created_at, changed_at
  FROM cards
 WHERE (changed_xid, id) > ($1::text::xid8, $2::uuid) AND changed_xid < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY changed_xid, id
 LIMIT $3;

-- tidy :none
WITH codes AS (DELETE FROM security_codes WHERE expires_at < now()),
     tokens AS (DELETE FROM service_tokens WHERE expires_at < now() - interval '1 hour'),
     -- An hour longer than it lives, so that who comes too late is told so.
     sessions AS (DELETE FROM capture_sessions WHERE expires_at < now() - interval '1 hour')
DELETE FROM idempotency_keys WHERE created_at < now() - interval '31 days';
