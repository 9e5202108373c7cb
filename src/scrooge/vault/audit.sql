-- append :one
-- ($1 stream, $2 to $7 the records' columns)
SELECT append_audit($1, $2, $3, $4, $5, $6, $7);

-- heads :many
-- `last`, in the same snapshot: a record behind the head was hidden by turning that back.
SELECT h.stream, h.seq, h.hash, coalesce((SELECT max(a.seq) FROM audit a WHERE a.stream = h.stream), 0) AS last
  FROM audit_heads h;

-- page :many
-- ($2 after this record, $3 and not after that one, $4 rows)
SELECT seq, at, who, act, object, outcome, origin, detail, hash
  FROM audit
 WHERE stream = $1 AND seq > $2 AND seq <= $3
 ORDER BY seq
 LIMIT $4;
