-- keep :many
-- ($1 vault keys, $2 idempotency keys, $3 fingerprints of what was asked, $4 buckets, $5 cards, $6 merchants, $7 modes,
-- $8 to $16 what is kept of each card, $17 security codes and $18 their minutes, $19 the audit's stream, $20 to $25 its
-- records) Which cards are new: of a key that was used before there is one already. All of it is on record.
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::smallint[], $5::uuid[], $6::uuid[], $7::boolean[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bigint[],
                         $15::bytea[], $16::bigint[], $17::bytea[], $20::text[], $21::text[], $22::text[], $23::text[],
                         $24::text[], $25::text[]) WITH ORDINALITY
                  AS w(vault_key_id, key, asked, bucket, card_id, merchant_id, livemode, customer, brand, iin, last4,
                       exp, sealed, key_id, fingerprint, fingerprint_key, code, who, act, object, outcome, origin,
                       detail, place)
), claimed AS (
    INSERT INTO idempotency_keys (vault_key_id, key, fingerprint, bucket, card_id)
    SELECT vault_key_id, key, asked, bucket, card_id FROM wanted
    ON CONFLICT (vault_key_id, key) DO NOTHING
    RETURNING vault_key_id, key
), looked AS MATERIALIZED (
    SELECT w.*, (c.key IS NOT NULL) AS fresh
      FROM wanted w LEFT JOIN claimed c ON c.vault_key_id = w.vault_key_id AND c.key = w.key
), added AS (
    INSERT INTO cards (bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, sealed, key_id, fingerprint,
                       fingerprint_key)
    SELECT bucket, card_id, merchant_id, livemode, customer, brand, iin, last4, exp, sealed, key_id, fingerprint,
           fingerprint_key
      FROM looked WHERE fresh
), coded AS (
    INSERT INTO security_codes (bucket, card_id, sealed, expires_at)
    SELECT bucket, card_id, code, now() + make_interval(mins => $18) FROM looked WHERE fresh AND code IS NOT NULL
    ON CONFLICT (bucket, card_id) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at,
                                                request = NULL, answer = NULL
), told AS MATERIALIZED (
    SELECT append_audit($19, array_agg(who ORDER BY place), array_agg(act ORDER BY place),
                        array_agg(object ORDER BY place),
                        array_agg(CASE WHEN fresh THEN outcome ELSE 'replayed' END ORDER BY place),
                        array_agg(origin ORDER BY place), array_agg(detail ORDER BY place)) AS records
      FROM looked
)
SELECT l.place - 1 AS place, l.fresh, now() AS created_at FROM looked l, told t WHERE t.records > 0;

-- key :one
SELECT fingerprint, bucket, card_id FROM idempotency_keys WHERE vault_key_id = $1 AND key = $2;

-- read :one
SELECT * FROM cards WHERE bucket = $1 AND id = $2;

-- grant_fills :many
-- ($1 places, $2 buckets, $3 cards, $4 merchants, $5 modes, $6 requests, $7 attempts, $8 sent before, $9 with a place for
-- a security code, $10 tokens, $11 when they run out, $12 the audit's stream, $13 to $17 its records, without outcome)
-- What each fill gets: its card and, where this is the request that the card's security code is bound to or the first
-- one, that code, or the answer that ended it. A replay that left with a security code, before today's of them, and has
-- it no more is refused: that it left so is on record for as long as any PSP knows a request again. All of it is on record.
WITH wanted AS (
    SELECT * FROM unnest($1::integer[], $2::smallint[], $3::uuid[], $4::uuid[], $5::boolean[], $6::bytea[], $7::text[],
                         $8::boolean[], $9::boolean[], $10::text[], $11::timestamptz[], $13::text[], $14::text[],
                         $15::text[], $16::text[], $17::text[])
                  AS w(place, bucket, card_id, merchant_id, livemode, request, attempt, again, coded, token, expires_at,
                       who, act, object, origin, detail)
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
    RETURNING s.bucket, s.card_id, nullif(s.sealed, '') AS sealed, s.answer
), looked AS MATERIALIZED (
    SELECT w.place, w.who, w.act, w.object, w.origin, w.detail, w.bucket, w.card_id, f.sealed, b.sealed AS code, b.answer,
           (f.used_at IS NULL OR f.used_at < now() - interval '1 day') AS idle,
           CASE WHEN u.id IS NULL THEN 'service_token_refused'
                WHEN f.status IS NULL THEN 'not_found'
                WHEN f.status <> 'active' THEN 'card_gone'
                WHEN w.again AND w.coded AND b.sealed IS NULL AND b.answer IS NULL AND EXISTS (
                         SELECT FROM audit a
                          WHERE a.object = w.object AND a.at > now() - interval '31 days' AND a.act = 'fill'
                            AND a.outcome = 'done' AND a.detail::jsonb ->> 'attempt' = w.attempt
                            AND a.detail::jsonb -> 'security_code' = 'true'::jsonb) THEN 'security_code_gone'
                ELSE 'done' END AS outcome
      FROM wanted w
      LEFT JOIN used u ON u.id = w.token
      LEFT JOIN found f ON f.place = w.place
      LEFT JOIN bound b ON b.bucket = f.bucket AND b.card_id = f.id
), idle AS (
    SELECT c.bucket, c.id
      FROM looked l
      JOIN cards c ON c.bucket = l.bucket AND c.id = l.card_id
     WHERE l.idle AND l.outcome = 'done'
       FOR NO KEY UPDATE OF c SKIP LOCKED
), touched AS (
    -- Once a day for a card is enough to know whether it is of use. Whoever holds the row writes the same, or ends it.
    UPDATE cards c SET used_at = now() FROM idle WHERE c.bucket = idle.bucket AND c.id = idle.id
), told AS MATERIALIZED (
    -- Whether a security code went with the card is on record too, or that nothing went: its answer was here.
    SELECT append_audit($12, array_agg(who ORDER BY place), array_agg(act ORDER BY place),
                        array_agg(object ORDER BY place), array_agg(outcome ORDER BY place),
                        array_agg(origin ORDER BY place),
                        array_agg(CASE WHEN outcome <> 'done' THEN detail
                                       WHEN code IS NOT NULL THEN left(detail, -1) || ',"security_code":true}'
                                       WHEN answer IS NOT NULL THEN left(detail, -1) || ',"stored":true}'
                                       ELSE detail END ORDER BY place)) AS records
      FROM looked
)
SELECT l.place, l.outcome, l.sealed, l.code, l.answer FROM looked l, told t WHERE t.records > 0;

-- ended :none
-- ($1 buckets, $2 cards, $3 requests, $4 answers) The authorization is over: the code goes, and the answer waits for a
-- core that did not hear it.
UPDATE security_codes s
   SET sealed = '', answer = e.answer
  FROM unnest($1::smallint[], $2::uuid[], $3::bytea[], $4::bytea[]) AS e(bucket, card_id, request, answer)
 WHERE s.bucket = e.bucket AND s.card_id = e.card_id AND s.request = e.request;

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
