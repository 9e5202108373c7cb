-- counters :one
-- ($1 bucket, $2 how long they are kept, $3 rows)
SELECT forget_counters($1, $2, $3);

-- lessons :one
-- ($1 rows of a kind)
SELECT forget_lessons($1);
