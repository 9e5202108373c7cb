-- claim :many
-- ($1 rows, $2 seconds) Steps whose time has come, each handed to one worker only, and never one whose payment has gone on.
-- The next turn is pushed out before anything is asked: further and further while nothing can be done, up to five minutes.
WITH due AS MATERIALIZED (
    SELECT bucket, payment_id, seq
      FROM retries
     WHERE due_at <= now()
     ORDER BY due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE retries r
   SET claims = r.claims + 1,
       due_at = now() + make_interval(secs => greatest($2, least(300, 15 * power(2, least(r.claims, 12)))))
  FROM due, merchants m
 WHERE r.bucket = due.bucket AND r.payment_id = due.payment_id AND r.seq = due.seq AND m.id = r.merchant_id
RETURNING r.bucket, r.payment_id, r.seq, r.claims, m.name AS merchant;

-- done :none
-- Something followed, so that it is nobody's turn any more.
UPDATE retries SET due_at = NULL WHERE bucket = $1 AND payment_id = $2 AND seq = $3;

-- again :none
-- ($4 seconds) Its next turn, however often it had one; unless it was woken since its turn began.
UPDATE retries
   SET due_at = now() + make_interval(secs => $4)
 WHERE bucket = $1 AND payment_id = $2 AND seq = $3 AND due_at > now();

-- wake :none
-- Its next turn is now, also where somebody has its turn and has seen nothing yet.
UPDATE retries SET due_at = now() WHERE bucket = $1 AND payment_id = $2 AND seq = $3 AND due_at IS NOT NULL;

-- steps_of :many
SELECT to_jsonb(r)::text AS step, written_at
  FROM retries r
 WHERE bucket = $1 AND payment_id = $2
 ORDER BY seq;

-- backlog :one
SELECT count(*) FILTER (WHERE state = 'scheduled') AS scheduled,
       count(*) FILTER (WHERE due_at <= now()) AS due,
       coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 AS oldest_seconds
  FROM retries
 WHERE due_at IS NOT NULL;
