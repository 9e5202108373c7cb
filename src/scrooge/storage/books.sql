-- journals_of :many
SELECT j.id, j.attempt_id, j.effect, j.created_at,
       (SELECT jsonb_agg(jsonb_build_object('account', p.account, 'minor', p.minor, 'currency', p.currency)
                         ORDER BY p.line)
          FROM postings p
         WHERE p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id)::text AS lines
  FROM journals j
 WHERE j.bucket = $1 AND j.payment_id = $2
 ORDER BY j.id;

-- plan_for_sums :one
-- For this transaction only: adding up everything is the one question that an index does not answer best.
SELECT set_config('enable_hashjoin', 'on', true), set_config('enable_seqscan', 'on', true),
       set_config('plan_cache_mode', 'force_custom_plan', true);

-- balances :many
-- ($1 merchant, $2 livemode)
SELECT account, currency, sum(minor) AS balance,
       coalesce(sum(minor) FILTER (WHERE minor > 0), 0) AS debits,
       coalesce(-sum(minor) FILTER (WHERE minor < 0), 0) AS credits
  FROM postings
 WHERE merchant_id = $1 AND livemode = $2
 GROUP BY account, currency
 ORDER BY account, currency;

-- entries :many
-- ($1 merchant, $2 livemode, $3 account, $4 currency, $5 journal and $6 line: before these, $7 rows wanted)
-- Newest first.
SELECT p.journal_id, p.line, p.minor, p.payment_id, j.effect, j.attempt_id, j.created_at
  FROM (SELECT bucket, payment_id, journal_id, line, minor
          FROM postings
         WHERE merchant_id = $1 AND livemode = $2 AND account = $3 AND currency = $4
           AND journal_id <= $5 AND (journal_id, line) < ($5, $6)
         ORDER BY journal_id DESC, line DESC
         LIMIT $7) p
  JOIN journals j ON j.bucket = p.bucket AND j.payment_id = p.payment_id AND j.id = p.journal_id
 ORDER BY p.journal_id DESC, p.line DESC;
