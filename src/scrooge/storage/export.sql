-- has_live :one
SELECT EXISTS (SELECT FROM payments WHERE livemode) OR EXISTS (SELECT FROM stored_value_accounts WHERE livemode) AS live;

-- chart :many
-- ($1 livemode) Every ledger account in use, with its merchant, currency and first day.
SELECT p.account, m.name AS merchant, p.currency, to_char(min(j.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS since
  FROM postings p
  JOIN journals j ON j.bucket = p.bucket AND j.payment_id = p.payment_id AND j.id = p.journal_id
  JOIN (SELECT bucket, id, livemode FROM payments
         UNION ALL
        SELECT m.bucket, m.id, v.livemode
          FROM stored_value_moves m JOIN stored_value_accounts v ON v.bucket = m.bucket AND v.id = m.account_id) y ON y.bucket = p.bucket AND y.id = p.payment_id
  JOIN merchants m ON m.id = p.merchant_id
 WHERE y.livemode = $1
 GROUP BY p.account, m.name, p.currency;

-- journals :many
-- ($1 livemode) The journals, of payments and of moves of stored value, oldest first, read through a cursor.
SELECT j.id, to_char(j.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS date, m.name AS merchant, c.name AS caller,
       y.reference, j.payment_id, j.attempt_id, j.effect,
       (SELECT jsonb_agg(jsonb_build_object('account', p.account, 'minor', p.minor, 'currency', p.currency)
                         ORDER BY p.line)
          FROM postings p
         WHERE p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id)::text AS lines
  FROM journals j
  JOIN (SELECT bucket, id, merchant_id, caller_id, livemode, reference FROM payments
         UNION ALL
        SELECT m.bucket, m.id, v.merchant_id, v.caller_id, v.livemode, coalesce(m.reference, v.reference, '')
          FROM stored_value_moves m JOIN stored_value_accounts v ON v.bucket = m.bucket AND v.id = m.account_id) y
    ON y.bucket = j.bucket AND y.id = j.payment_id
  JOIN merchants m ON m.id = y.merchant_id
  JOIN callers c ON c.id = y.caller_id
 WHERE y.livemode = $1
 ORDER BY j.created_at, j.id;

-- trial_balance :many
-- ($1 livemode) Sums of every ledger account of every merchant.
SELECT m.name AS merchant, p.account, p.currency, sum(p.minor)::text AS balance,
       coalesce(sum(p.minor) FILTER (WHERE p.minor > 0), 0)::text AS debits,
       coalesce(-sum(p.minor) FILTER (WHERE p.minor < 0), 0)::text AS credits
  FROM postings p
  JOIN (SELECT bucket, id, livemode FROM payments
         UNION ALL
        SELECT m.bucket, m.id, v.livemode
          FROM stored_value_moves m JOIN stored_value_accounts v ON v.bucket = m.bucket AND v.id = m.account_id) y ON y.bucket = p.bucket AND y.id = p.payment_id
  JOIN merchants m ON m.id = p.merchant_id
 WHERE y.livemode = $1
 GROUP BY m.name, p.account, p.currency
 ORDER BY m.name, p.account, p.currency;
