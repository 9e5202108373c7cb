-- fees :many
-- ($1 merchant, $2 livemode, $3 from, $4 before) What stands in the books for fees, by month of the posting (UTC) and by
-- what was known of the card when its authorization was recorded.
SELECT to_char(j.created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, p.account, p.currency,
       coalesce(f.fees->'facts'->>'brand', '') AS brand, coalesce(f.fees->'facts'->>'country', '') AS country,
       sum(p.minor)::bigint AS minor
  FROM journals j
  JOIN postings p ON p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id
  JOIN attempts a ON a.bucket = j.bucket AND a.payment_id = j.payment_id AND a.id = j.attempt_id
  LEFT JOIN attempts f
    ON f.bucket = a.bucket AND f.payment_id = a.payment_id AND f.id = coalesce(a.parent_id, a.id)
 WHERE j.effect IN ('fees_accrued', 'fees_reversed') AND j.created_at >= $3 AND j.created_at < $4
   AND p.merchant_id = $1 AND p.livemode = $2 AND p.account LIKE 'expenses.psp\_fees.%'
 GROUP BY 1, 2, 3, 4, 5;

-- captured :many
-- ($1 merchant, $2 livemode, $3 from, $4 before) What was captured of payments whose fees are told, by the month in
-- which the PSP said so.
SELECT to_char(a.concluded_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, k.name AS account, a.currency,
       coalesce(f.fees->'facts'->>'brand', '') AS brand, coalesce(f.fees->'facts'->>'country', '') AS country,
       count(*) AS captures, sum(coalesce(a.approved_minor, a.minor))::bigint AS minor
  FROM attempts a
  JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id
  JOIN attempts f ON f.bucket = a.bucket AND f.payment_id = a.payment_id AND f.id = coalesce(a.parent_id, a.id)
  JOIN connector_accounts k ON k.id = a.connector_account_id
 WHERE p.merchant_id = $1 AND p.livemode = $2 AND a.concluded_at >= $3 AND a.concluded_at < $4
   AND a.state = 'approved' AND (a.operation = 'capture' OR (a.operation = 'authorize' AND a.sale))
   AND f.fees IS NOT NULL
 GROUP BY 1, 2, 3, 4, 5;
