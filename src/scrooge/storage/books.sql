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
-- ($1 merchant, $2 livemode, $3 account, $4 currency, $5 journal and $6 line: before these, $7 rows wanted,
-- $8 rows looked at) Newest first. As with payments, the other mode's entries must not make a page dear.
WITH seen AS MATERIALIZED (
    SELECT bucket, payment_id, journal_id, line, minor
      FROM postings
     WHERE merchant_id = $1 AND account = $3 AND currency = $4
       AND journal_id <= $5 AND (journal_id, line) < ($5, $6)
     ORDER BY journal_id DESC, line DESC
     LIMIT $8
), kept AS (
    SELECT s.*
      FROM seen s
      JOIN payments y ON y.bucket = s.bucket AND y.id = s.payment_id
     WHERE y.livemode = $2
     ORDER BY s.journal_id DESC, s.line DESC
     LIMIT $7
), place AS (
    SELECT s.journal_id AS last_journal, s.line AS last_line, (SELECT count(*) FROM seen) AS looked
      FROM seen s
     ORDER BY s.journal_id, s.line
     LIMIT 1
)
SELECT place.last_journal, place.last_line, place.looked, kept.journal_id, kept.line, kept.minor, kept.payment_id,
       j.effect, j.attempt_id, j.created_at
  FROM place
  LEFT JOIN kept ON true
  LEFT JOIN journals j ON j.bucket = kept.bucket AND j.payment_id = kept.payment_id AND j.id = kept.journal_id
 ORDER BY kept.journal_id DESC, kept.line DESC;
