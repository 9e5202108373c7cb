-- issue :one
-- ($1 bucket, $2 id, $3 merchant, $4 caller, $5 livemode, $6 reference, $7 minor, $8 currency, $9 codes, $10 expires at)
-- Nothing comes back when the reference is taken.
INSERT INTO stored_value_issues (bucket, id, merchant_id, caller_id, livemode, reference, minor, currency, codes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT DO NOTHING
RETURNING *;

-- add :none
-- ($1 issue's bucket, $2 issue, $3 buckets, $4 digests, $5 the caller's name)
INSERT INTO stored_value_codes (bucket, digest, issue_id, issue_bucket, number, merchant_id, livemode, minor, currency,
                                caller, expires_at)
SELECT d.bucket, d.digest, i.id, i.bucket, d.number, i.merchant_id, i.livemode, i.minor, i.currency, $5, i.expires_at
  FROM stored_value_issues i, unnest($3::smallint[], $4::bytea[]) WITH ORDINALITY AS d(bucket, digest, number)
 WHERE i.bucket = $1 AND i.id = $2;

-- one :one
SELECT i.*, (SELECT count(*) FROM stored_value_codes c WHERE c.issue_id = i.id AND c.used_by IS NOT NULL) AS used
  FROM stored_value_issues i
 WHERE i.bucket = $1 AND i.id = $2;

-- of_reference :one
SELECT id FROM stored_value_issues
 WHERE bucket = $1 AND merchant_id = $2 AND caller_id = $3 AND livemode = $4 AND reference = $5;

-- cancel :none
UPDATE stored_value_issues SET canceled_at = coalesce(canceled_at, now()) WHERE bucket = $1 AND id = $2;

-- take :one
-- ($1 buckets, $2 digests: of the code under each key, $3 merchant, $4 livemode, $5 currency, $6 account) Uses up a code.
-- Nothing comes back for one that is unknown, used, expired, canceled, or of another currency: all by one look.
UPDATE stored_value_codes c
   SET used_by = $6, used_at = now()
  FROM unnest($1::smallint[], $2::bytea[]) AS k(bucket, digest)
 WHERE c.bucket = k.bucket AND c.digest = k.digest AND c.merchant_id = $3 AND c.livemode = $4 AND c.currency = $5
   AND c.used_by IS NULL AND (c.expires_at <= now()) IS NOT TRUE
   AND NOT EXISTS (SELECT FROM stored_value_issues i
                    WHERE i.bucket = c.issue_bucket AND i.id = c.issue_id AND i.canceled_at IS NOT NULL)
RETURNING c.minor, c.caller;

-- guess :one
-- ($1 bucket, $2 merchant, $3 caller, $4 livemode, $5 customer, $6 seconds) Counts one more, before the code is looked
-- at: of many at once, none is tried beyond the limit. The count begins anew when nothing was tried for so long.
INSERT INTO stored_value_guesses AS g (bucket, merchant_id, caller_id, livemode, customer, guesses)
VALUES ($1, $2, $3, $4, $5, 1)
    ON CONFLICT (bucket, merchant_id, caller_id, livemode, customer) DO UPDATE
   SET guesses = CASE WHEN g.since < now() - make_interval(secs => $6) THEN 1 ELSE g.guesses + 1 END, since = now()
RETURNING guesses;

-- forgive :none
-- It was no guess.
UPDATE stored_value_guesses
   SET guesses = greatest(guesses - 1, 0)
 WHERE bucket = $1 AND merchant_id = $2 AND caller_id = $3 AND livemode = $4 AND customer = $5;
