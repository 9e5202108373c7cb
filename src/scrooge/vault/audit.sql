-- head :one
-- Locked until the transaction ends: one writer of a stream at a time.
SELECT seq, hash, clock_timestamp() AS at FROM audit_heads WHERE stream = $1 FOR UPDATE;

-- append :none
-- ($1 stream, $2 at, $3 to $10 the records' columns, $11 and $12 the new head)
WITH moved AS (UPDATE audit_heads SET seq = $11, hash = $12 WHERE stream = $1)
INSERT INTO audit (stream, at, seq, who, act, object, outcome, origin, detail, hash)
SELECT $1, $2, r.*
  FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[]) AS r;

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
