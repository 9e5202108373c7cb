-- add :none
-- ($1: JSON array)
INSERT INTO errands (bucket, id, merchant_id, livemode, instrument_id, kind, connector_account_id, psp_token,
                     psp_customer, exp)
SELECT r.bucket, r.id, r.merchant_id, r.livemode, r.instrument_id, r.kind, r.connector_account_id, r.psp_token,
       r.psp_customer, r.exp
  FROM jsonb_to_recordset($1::jsonb) AS r(
       bucket smallint, id uuid, merchant_id uuid, livemode boolean, instrument_id uuid, kind text,
       connector_account_id uuid, psp_token text, psp_customer text, exp text);

-- claim :many
-- Whose turn it is, each handed to one worker only. The next turn is pushed out before anything is asked: a crash loses
-- this one, no row. What was given up is still tried, once a day.
WITH due AS MATERIALIZED (
    SELECT bucket, id
      FROM errands
     WHERE state <> 'done' AND due_at <= now()
     ORDER BY due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE errands e
   SET tries = e.tries + 1,
       due_at = now() + CASE WHEN e.state = 'parked' THEN interval '1 day'
                             ELSE least(interval '15 seconds' * power(2, least(e.tries, 12)), interval '6 hours') END
  FROM due
 WHERE e.bucket = due.bucket AND e.id = due.id
RETURNING e.*;

-- finish :none
-- The token is not needed any more, so it is not kept.
UPDATE errands
   SET state = 'done', ended_at = now(), note = $3, psp_token = NULL
 WHERE bucket = $1 AND id = $2 AND state <> 'done';

-- leave :none
-- Not done yet, and why.
UPDATE errands SET note = $3 WHERE bucket = $1 AND id = $2 AND state <> 'done';

-- park :one
-- It was tried often enough. Nothing comes back when that had been said before.
UPDATE errands SET note = $3, state = 'parked' WHERE bucket = $1 AND id = $2 AND state = 'due' RETURNING id;

-- token_in_use :one
-- Does another instrument of the account name the same token?
SELECT true AS used FROM credentials WHERE connector_account_id = $1 AND psp_token = $2 LIMIT 1;

-- renewing :one
-- Does the vault have to hear of this instrument's newer card yet?
SELECT true AS renewing FROM errands
 WHERE instrument_id = $1 AND kind = 'renew_vault_card' AND state = 'due' LIMIT 1;

-- backlog :one
SELECT (SELECT count(*) FROM errands WHERE state = 'due') AS due,
       (SELECT count(*) FROM errands WHERE state = 'parked') AS parked,
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM errands WHERE state <> 'done')
           AS oldest_seconds;

-- parked :many
-- What was given up, oldest first; the token stays here.
SELECT bucket, id, merchant_id, livemode, instrument_id, kind, connector_account_id, tries, due_at, note, created_at
  FROM errands
 WHERE state = 'parked'
 ORDER BY created_at
 LIMIT $1;

-- hurry :many
-- The turn of what was given up is now: of these, or of all.
UPDATE errands
   SET due_at = now()
 WHERE state = 'parked' AND ($1::uuid[] IS NULL OR id = ANY ($1::uuid[]))
RETURNING id;
