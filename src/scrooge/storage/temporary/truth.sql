-- truth_table :none
-- What the PSPs say happened, for this session only.
CREATE TEMPORARY TABLE truth (
    n              bigint,
    reference      text,
    operation      text,
    psp_reference  text,
    minor          bigint,
    currency       text,
    outcome        text,
    ours           boolean
);

-- truth_counts :one
SELECT count(*) AS lines, count(*) FILTER (WHERE NOT ours) AS "foreign" FROM truth;

-- doubles_at_psp :many
-- Payments that the PSPs took money for more than once, net of what was voided, reversed and refunded. One
-- reference with two of the PSP's own references is two payments there.
WITH moved AS (
    SELECT t.reference, t.operation, t.psp_reference,
           sum(CASE t.outcome WHEN 'approved' THEN t.minor WHEN 'reversed' THEN -t.minor ELSE 0 END) AS minor
      FROM truth t
     WHERE t.ours
     GROUP BY t.reference, t.operation, t.psp_reference
), given_back AS (  -- by the reference of the authorization that it was given back on
    SELECT coalesce(first.reference, parent.reference, m.reference) AS reference, sum(m.minor) AS minor
      FROM moved m
      LEFT JOIN attempts child ON child.reference = m.reference AND child.parent_id IS NOT NULL
      LEFT JOIN attempts parent
        ON parent.bucket = child.bucket AND parent.payment_id = child.payment_id AND parent.id = child.parent_id
      LEFT JOIN attempts first  -- whose second success the parent is
        ON first.bucket = parent.bucket AND first.payment_id = parent.payment_id AND first.id = parent.parent_id
     WHERE m.operation IN ('void', 'refund')
     GROUP BY 1
), added AS (  -- by increments, by the reference of the authorization that they raised
    SELECT parent.reference, sum(m.minor) AS minor
      FROM moved m
      JOIN attempts child ON child.reference = m.reference AND child.parent_id IS NOT NULL
      JOIN attempts parent
        ON parent.bucket = child.bucket AND parent.payment_id = child.payment_id AND parent.id = child.parent_id
     WHERE m.operation = 'increment'
     GROUP BY 1
), taken AS (
    SELECT reference, sum(minor) AS minor, max(minor) AS each
      FROM moved
     WHERE operation IN ('authorize', 'sale') AND minor > 0
     GROUP BY reference
), standing AS (
    SELECT split_part(t.reference, '-', 1) AS payment,
           ceil((t.minor + coalesce(a.minor, 0) - coalesce(g.minor, 0)) / (t.each + coalesce(a.minor, 0))) AS times
      FROM taken t LEFT JOIN given_back g USING (reference) LEFT JOIN added a USING (reference)
     WHERE t.minor + coalesce(a.minor, 0) > coalesce(g.minor, 0)
)
SELECT count(*) OVER () AS total, payment, sum(times)::bigint AS times
  FROM standing
 GROUP BY payment
HAVING sum(times) > 1
 LIMIT $1;

-- lost :many
-- Successes at a PSP that no attempt of ours stands for, as approved, reversed or still open. A void may carry
-- the reference of the authorization it ends, and may be the PSP's own doing; so may the refund of a sale that was taken
-- back before anybody knew what had become of it.
SELECT count(*) OVER () AS total, t.reference, t.operation, t.psp_reference, t.minor, t.currency,
       coalesce(own.state, 'no attempt') AS state
  FROM truth t
  LEFT JOIN attempts own ON own.reference = t.reference
 WHERE t.ours AND t.outcome = 'approved'
   AND NOT coalesce(own.operation = CASE t.operation WHEN 'sale' THEN 'authorize' ELSE t.operation END
           AND own.state IN ('approved', 'reversed', 'reversing', 'sent', 'unknown', 'pending', 'action_required'), false)
   AND NOT coalesce(t.operation = 'void' AND own.operation = 'authorize'
           AND (own.state <> 'approved' OR own.closed IS NOT NULL OR EXISTS (
                SELECT FROM attempts v
                 WHERE v.bucket = own.bucket AND v.payment_id = own.payment_id
                   AND v.parent_id IN (SELECT x.id FROM attempts x  -- it, or a second success of it
                                        WHERE x.bucket = own.bucket AND x.payment_id = own.payment_id
                                          AND own.id IN (x.id, x.parent_id))
                   AND v.operation = 'void'
                   AND v.state IN ('approved', 'reversed', 'sent', 'unknown', 'pending'))), false)
   AND NOT coalesce(t.operation = 'refund' AND own.operation = 'authorize' AND own.sale AND own.state <> 'approved', false)
 LIMIT $1;

-- amount_mismatches :many
SELECT count(*) OVER () AS total, t.reference, t.operation, t.minor, t.currency,
       coalesce(a.approved_minor, a.minor) AS our_minor, a.currency AS our_currency
  FROM truth t
  JOIN attempts a ON a.reference = t.reference
   AND a.operation = CASE t.operation WHEN 'sale' THEN 'authorize' ELSE t.operation END
 WHERE t.ours AND t.outcome = 'approved'
   AND a.state IN ('approved', 'sent', 'unknown', 'pending', 'action_required')
   AND (t.currency <> a.currency OR t.minor <> coalesce(a.approved_minor, a.minor))
 LIMIT $1;

-- phantoms :many
-- ($2: when the truth was read) Approvals of ours, at accounts that are not the PSPs' real ones, which the PSPs
-- know nothing of. What concluded since the truth was read is not looked at.
SELECT count(*) OVER () AS total, a.reference, a.operation, a.minor, a.currency
  FROM attempts a
  JOIN connector_accounts c ON c.id = a.connector_account_id AND c.base_url IS NOT NULL
  LEFT JOIN attempts parent
    ON parent.bucket = a.bucket AND parent.payment_id = a.payment_id AND parent.id = a.parent_id
  LEFT JOIN attempts first
    ON first.bucket = parent.bucket AND first.payment_id = parent.payment_id AND first.id = parent.parent_id
 WHERE a.state = 'approved' AND coalesce(a.concluded_at, a.sent_at) < $2
   AND a.operation <> 'verify'  -- It moves nothing, so there is nothing to tell.
   AND NOT EXISTS (
       SELECT FROM truth t
        WHERE t.reference = a.reference AND t.outcome = 'approved'
          AND a.operation = CASE t.operation WHEN 'sale' THEN 'authorize' ELSE t.operation END)
   AND NOT (a.operation = 'void' AND EXISTS (
       SELECT FROM truth t
        WHERE t.reference IN (parent.reference, first.reference) AND t.operation = 'void' AND t.outcome = 'approved'))
 LIMIT $1;

-- reversals_unheard :many
-- The PSP took back what we still call approved: news that is late or lost.
SELECT count(*) OVER () AS total, a.reference, a.operation, a.minor, a.currency
  FROM attempts a
 WHERE a.state = 'approved' AND a.closed IS NULL
   AND EXISTS (SELECT FROM truth t
                WHERE t.reference = a.reference AND t.outcome = 'reversed'
                  AND a.operation = CASE t.operation WHEN 'sale' THEN 'authorize' ELSE t.operation END)
 LIMIT $1;
