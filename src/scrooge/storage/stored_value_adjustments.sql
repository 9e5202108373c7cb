-- add :one
-- ($1 bucket, $2 id, $3 account, $4 direction, $5 minor, $6 reference, $7 reason, $8 state, $9 key) Nothing comes back
-- when the reference is taken.
INSERT INTO stored_value_adjustments (bucket, id, account_id, direction, minor, reference, reason, state, proposed_by,
                                      decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $8 = 'applied' THEN now() END)
    ON CONFLICT DO NOTHING
RETURNING *;

-- one :one
SELECT * FROM stored_value_adjustments WHERE bucket = $1 AND id = $2;

-- of_reference :one
SELECT * FROM stored_value_adjustments WHERE bucket = $1 AND account_id = $2 AND reference = $3;

-- hold :one
SELECT * FROM stored_value_adjustments WHERE bucket = $1 AND id = $2 FOR UPDATE;

-- decide :one
-- ($3 state, $4 key) Of two at once, one: nothing comes back to the other.
UPDATE stored_value_adjustments
   SET state = $3, decided_by = $4, decided_at = now()
 WHERE bucket = $1 AND id = $2 AND state = 'proposed'
RETURNING *;
