-- record :one
-- ($1 bucket, $2 payment, $3 merchant, $4 tenders, $5 seconds) With its payment, before anybody is asked. It is the
-- caller's request that goes on with it; if that dies, it is a worker's turn.
INSERT INTO splits (bucket, payment_id, merchant_id, tenders, look_at, leased_until)
VALUES ($1, $2, $3, $4::jsonb, now() + make_interval(secs => $5), now() + make_interval(secs => $5))
RETURNING payment_id;

-- split :one
-- The parts are read after it, so that they are at least as new as the count of their news.
SELECT s.tenders::text AS tenders, s.closing::text AS closing, s.told, s.news, s.looks,
       (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.created_at, o.id)
          FROM split_orders o
         WHERE o.bucket = s.bucket AND o.payment_id = s.payment_id)::text AS orders
  FROM splits s
 WHERE s.bucket = $1 AND s.payment_id = $2;

-- lock :many
-- Two who would decide at once do it one after the other. Read in a later statement.
SELECT p.id
  FROM payments p JOIN splits s ON s.bucket = p.bucket AND s.payment_id = p.id
 WHERE p.bucket = $1 AND p.id = $2
   FOR UPDATE;

-- claim :many
-- ($1 rows, $2 seconds) Whose turn has come, each handed to one worker only. The next turn is pushed out before anything
-- is done, so that a crash loses a turn and no row.
WITH due AS MATERIALIZED (
    SELECT bucket, payment_id
      FROM splits
     WHERE look_at <= now() AND (leased_until <= now()) IS NOT FALSE
     ORDER BY look_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE splits s
   SET look_at = now() + make_interval(secs => $2), leased_until = now() + make_interval(secs => $2)
  FROM due, merchants m
 WHERE s.bucket = due.bucket AND s.payment_id = due.payment_id AND m.id = s.merchant_id
RETURNING s.payment_id, m.name AS merchant;

-- renew :one
-- ($3 seconds) Whoever goes on with it says so before each step.
UPDATE splits
   SET leased_until = now() + make_interval(secs => $3)
 WHERE bucket = $1 AND payment_id = $2
RETURNING payment_id;

-- close :one
-- ($3 why) Once, and not while something is being captured or was.
UPDATE splits s
   SET closing = $3::jsonb, look_at = now()
 WHERE bucket = $1 AND payment_id = $2 AND closing IS NULL
RETURNING payment_id;

-- order :one
-- ($3 id, $4 operation, $5 minor, $6 reference, $7 final, $8 shares, $9 created_at) Nothing comes back when it is there.
WITH made AS (
    INSERT INTO split_orders (bucket, payment_id, id, operation, minor, reference, final, shares, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
        ON CONFLICT DO NOTHING
    RETURNING payment_id
)
UPDATE splits s
   SET look_at = now()
  FROM made
 WHERE s.bucket = $1 AND s.payment_id = made.payment_id
RETURNING s.payment_id;

-- refuse :none
-- ($3 order, $4 place of the share, $5 why)
UPDATE split_orders
   SET refused = refused || jsonb_build_object($4::text, $5::text)
 WHERE bucket = $1 AND payment_id = $2 AND id = $3 AND refused->$4::text IS NULL;

-- settle :one
-- ($3 status, $4 answered, $5 news seen, $6 seconds until the next look or null, $7 could something be done, $8 told,
-- $9 orders that have ended: [{id, ended}], $10 events) What became true of the whole; the rows are locked. News that came
-- meanwhile makes it somebody's turn at once.
WITH touched AS (
    UPDATE payments
       SET status = $3, answered = $4, version = version + 1
     WHERE bucket = $1 AND id = $2 AND (status <> $3 OR answered <> $4 OR jsonb_array_length($10::jsonb) > 0)
    RETURNING version
), rested AS (
    UPDATE splits
       SET look_at = CASE WHEN news <> $5 THEN now() ELSE now() + make_interval(secs => $6) END,
           looks = CASE WHEN $7 THEN 0 ELSE looks + 1 END, leased_until = NULL, told = $8
     WHERE bucket = $1 AND payment_id = $2
), finished AS (
    UPDATE split_orders o
       SET ended = r.ended
      FROM jsonb_to_recordset($9::jsonb) AS r(id uuid, ended text)
     WHERE o.bucket = $1 AND o.payment_id = $2 AND o.id = r.id
), announced AS (
    INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
    SELECT $1, $2, r.id, r.merchant_id, r.livemode, $2, r.type, (SELECT version FROM touched), r.content
      FROM jsonb_to_recordset($10::jsonb) AS r(id uuid, merchant_id uuid, livemode boolean, type text, content jsonb)
)
SELECT coalesce((SELECT version FROM touched), (SELECT version FROM payments WHERE bucket = $1 AND id = $2)) AS version;

-- several :many
-- ($1 buckets, $2 payments) For a page of a list: at most a hundred.
SELECT s.payment_id, s.tenders::text AS tenders, s.closing::text AS closing, s.told, s.news, s.looks,
       (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.created_at, o.id)
          FROM split_orders o
         WHERE o.bucket = s.bucket AND o.payment_id = s.payment_id)::text AS orders
  FROM unnest($1::smallint[], $2::uuid[]) AS wanted(bucket, id)
  JOIN splits s ON s.bucket = wanted.bucket AND s.payment_id = wanted.id;

-- backlog :one
SELECT count(*) AS due, coalesce(extract(epoch FROM now() - min(look_at)), 0)::float8 AS oldest_seconds
  FROM splits
 WHERE look_at <= now();
