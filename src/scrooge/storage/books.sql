-- journals_of :many
SELECT j.id, j.attempt_id, j.effect, j.created_at,
       (SELECT jsonb_agg(jsonb_build_object('account', p.account, 'minor', p.minor, 'currency', p.currency)
                         ORDER BY p.line)
          FROM postings p
         WHERE p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id)::text AS lines
  FROM journals j
 WHERE j.bucket = $1 AND j.payment_id = $2
 ORDER BY j.id;

-- balances :many
-- ($1 merchant, $2 livemode) Test and live payments share names of ledger accounts, never a sum.
SELECT p.account, p.currency, sum(p.minor) AS balance,
       coalesce(sum(p.minor) FILTER (WHERE p.minor > 0), 0) AS debits,
       coalesce(-sum(p.minor) FILTER (WHERE p.minor < 0), 0) AS credits
  FROM postings p
  JOIN payments y ON y.bucket = p.bucket AND y.id = p.payment_id
 WHERE p.merchant_id = $1 AND y.livemode = $2
 GROUP BY p.account, p.currency
 ORDER BY p.account, p.currency;

-- entries :many
-- ($1 merchant, $2 livemode, $3 account, $4 currency, $5 journal and $6 line: before these, $7 limit) Newest first.
SELECT p.journal_id, p.line, p.minor, p.payment_id, j.effect, j.attempt_id, j.created_at
  FROM postings p
  JOIN journals j ON j.bucket = p.bucket AND j.payment_id = p.payment_id AND j.id = p.journal_id
  JOIN payments y ON y.bucket = p.bucket AND y.id = p.payment_id
 WHERE p.merchant_id = $1 AND y.livemode = $2 AND p.account = $3 AND p.currency = $4
   AND p.journal_id <= $5 AND (p.journal_id, p.line) < ($5, $6)
 ORDER BY p.journal_id DESC, p.line DESC
 LIMIT $7;
