-- room :one
-- ($1 bucket, $2 batch, $3 bytes before, $4 bytes after, $5 lines, $6 of them refused so far, $7 of them found) Moves on from where the input
-- ended; nothing comes back when it ends elsewhere by now, or is closed. Whoever comes here first holds the batch's row.
UPDATE batches
   SET input_bytes = $4, input_lines = input_lines + $5, rejected = rejected + $6, found = found + $7
 WHERE bucket = $1 AND id = $2 AND input_bytes = $3 AND status = 'draft'
RETURNING input_lines;

-- note :none
-- ($1 bucket, $2 batch, $3 first byte, $4 first line, $5 bytes, $6 lines, $7 digest, $8 of its lines found)
INSERT INTO batch_pieces (bucket, batch_id, first_byte, first_line, bytes, lines, digest, found)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- used :many
-- ($1 merchant, $2 caller, $3 livemode, $4 places, $5 buckets of the references, $6 references) Which of them were used
-- before, and by which payment.
SELECT w.place, r.payment_id
  FROM unnest($4::integer[], $5::smallint[], $6::text[]) AS w(place, bucket, reference)
  JOIN payment_references r
    ON r.bucket = w.bucket AND r.merchant_id = $1 AND r.caller_id = $2 AND r.livemode = $3
   AND r.reference = w.reference;

-- by_mandates :many
-- ($1 bucket, $2 batch, $3 from this line, $4 before this line, $5 merchant, $6 livemode) The lines whose mandates allow no
-- such payment, by what is so now: a payment looks again. A mandate's bucket is the last ten bits of its id. One that has no
-- row may still come of the payment that has its number.
SELECT l.line,
       CASE WHEN m.id IS NULL OR m.merchant_id <> $5 OR m.livemode <> $6 THEN 'unknown_mandate'
            WHEN m.status = 'revoked' THEN 'mandate_revoked'
            WHEN m.currency <> l.currency THEN 'mandate_currency'
            ELSE 'mandate_maximum' END AS rule
  FROM batch_lines l
  LEFT JOIN mandates m ON m.id = l.mandate_id
                      AND m.bucket = (('x' || right(l.mandate_id::text, 4))::bit(16)::integer & 1023)::smallint
 WHERE l.bucket = $1 AND l.batch_id = $2 AND l.line >= $3 AND l.line < $4 AND l.state = 'queued'
   AND (m.merchant_id <> $5 OR m.livemode <> $6 OR m.status = 'revoked' OR m.currency <> l.currency
        OR m.max_minor < l.minor
        OR m.id IS NULL
       AND (SELECT true FROM payments p
             WHERE p.bucket = (('x' || right(l.mandate_id::text, 4))::bit(16)::integer & 1023)::smallint
               AND p.id = l.mandate_id AND p.merchant_id = $5 AND p.livemode = $6 AND p.save_for IS NOT NULL
               AND p.initiator = 'customer' AND p.status NOT IN ('declined', 'failed', 'voided', 'expired')) IS NOT TRUE);

-- repeated :many
-- ($1 bucket, $2 batch, $3 slices less one, $4 which slice, $5 rows) Lines with a reference that an earlier one has.
-- By slices, so that no statement sorts more than some hundred thousand lines.
SELECT line, first
  FROM (SELECT line, first_value(line) OVER (PARTITION BY reference ORDER BY line) AS first
          FROM batch_lines
         WHERE bucket = $1 AND batch_id = $2 AND state = 'queued' AND hashtext(reference) & $3 = $4) AS told
 WHERE first < line
 LIMIT $5;

-- refuse :one
-- ($1 bucket, $2 batch, $3 lines, $4 their errors) How many were not refused before.
WITH refused AS (
    UPDATE batch_lines l
       SET state = 'rejected', error = wrong.error
      FROM unnest($3::integer[], $4::jsonb[]) AS wrong(line, error)
     WHERE l.bucket = $1 AND l.batch_id = $2 AND l.line = wrong.line AND l.state = 'queued'
    RETURNING l.found_id
)
UPDATE batches
   SET rejected = rejected + (SELECT count(*) FROM refused)::integer,
       found = found - (SELECT count(found_id) FROM refused)::integer
 WHERE bucket = $1 AND id = $2
RETURNING rejected;

-- pieces :many
-- ($1 bucket, $2 batch, $3 from this byte, $4 rows)
SELECT first_byte, first_line, bytes, lines, digest
  FROM batch_pieces
 WHERE bucket = $1 AND batch_id = $2 AND first_byte >= $3
 ORDER BY first_byte
 LIMIT $4;

-- wrong :many
-- ($1 bucket, $2 batch, $3 after this line, $4 rows)
SELECT line, custom_id, reference, state, error::text AS error
  FROM batch_lines
 WHERE bucket = $1 AND batch_id = $2 AND line > $3 AND error IS NOT NULL
 ORDER BY line
 LIMIT $4;

-- taken :many
-- ($1 bucket, $2 batch, $3 after this line, $4 rows)
SELECT line, custom_id, reference, minor, currency, state, existing, payment_id, error::text AS error
  FROM batch_lines
 WHERE bucket = $1 AND batch_id = $2 AND line > $3 AND state <> 'rejected'
 ORDER BY line
 LIMIT $4;

-- found :many
-- ($1 bucket, $2 batch, $3 after this line, $4 rows) Those whose references were used when they came in.
SELECT l.line, l.custom_id, l.reference, l.minor, l.currency, l.state, true AS existing, l.found_id AS payment_id,
       NULL AS error
  FROM batch_pieces p
  JOIN batch_lines l ON l.bucket = p.bucket AND l.batch_id = p.batch_id
   AND l.line >= p.first_line AND l.line < p.first_line + p.lines
 WHERE p.bucket = $1 AND p.batch_id = $2 AND p.found > 0 AND p.first_line + p.lines > $3 + 1
   AND l.line > $3 AND l.found_id IS NOT NULL AND l.state <> 'rejected'
 ORDER BY l.line
 LIMIT $4;

-- payments :many
-- ($1 buckets, $2 ids)
SELECT p.*,
       (SELECT jsonb_agg(to_jsonb(a) - 'request' ORDER BY a.number)
          FROM attempts a
         WHERE a.bucket = p.bucket AND a.payment_id = p.id)::text AS tries,
       CASE WHEN p.retry_until IS NOT NULL THEN
            (SELECT to_jsonb(r) FROM retries r
              WHERE r.bucket = p.bucket AND r.payment_id = p.id
              ORDER BY r.seq DESC LIMIT 1)::text END AS retry
  FROM unnest($1::smallint[], $2::uuid[]) AS asked(bucket, id)
  JOIN payments p ON p.bucket = asked.bucket AND p.id = asked.id;

-- forget :one
-- ($1 pieces)
SELECT forget_batch_lines($1) AS gone;
