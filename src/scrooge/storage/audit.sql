-- counted :one
-- ($1 expected pending times: [{connector, operation, seconds}])
SELECT (SELECT count(*) FROM payments) AS payments,
       (SELECT count(*)
          FROM attempts a
          LEFT JOIN connector_accounts c ON c.id = a.connector_account_id
          LEFT JOIN jsonb_to_recordset($1::jsonb) AS e(connector text, operation text, seconds float8)
            ON e.connector = c.connector AND e.operation = a.operation
         WHERE a.state IN ('sent', 'unknown')
            OR (a.state = 'pending'
                AND a.sent_at < now() - interval '1 second' * coalesce(e.seconds, 3600))) AS unresolved,
       (SELECT count(*) FROM breaks WHERE closed_at IS NULL) AS breaks;

-- unbalanced_journals :many
-- Debits and credits differ in a currency, or the journal has no lines at all.
SELECT count(*) OVER () AS total, j.payment_id, j.id AS journal_id, p.currency, coalesce(p.minor, '0') AS minor
  FROM journals j
  LEFT JOIN (SELECT bucket, payment_id, journal_id, currency, sum(minor)::text AS minor, sum(minor) <> 0 AS wrong
               FROM postings
              GROUP BY bucket, payment_id, journal_id, currency) p
    ON p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id
 WHERE p.wrong IS NOT FALSE
 LIMIT $1;

-- ledger_differs :many
-- What the attempts' counters say each ledger account of each payment holds, against what was posted. The chart
-- and its rules are ledger/postings.py; this is the same told from the other end.
-- What is paid from stored value is in the books by its moves.
WITH psp_attempts AS (
    SELECT *
      FROM attempts
     WHERE connector_account_id NOT IN (SELECT id FROM connector_accounts WHERE connector = 'stored_value')
), counted AS (
    SELECT bucket, payment_id, connector_account_id, currency, captured_minor - refunded_minor AS taken,
           authorized_minor - captured_minor - voided_minor AS held
      FROM psp_attempts
     WHERE operation = 'authorize'
), promised AS (
    SELECT bucket, payment_id, currency, sum(minor) AS minor
      FROM psp_attempts r
     WHERE operation = 'refund' AND state IN ('sent', 'unknown', 'pending', 'action_required')
       AND NOT EXISTS (SELECT FROM attempts a
                        WHERE a.bucket = r.bucket AND a.payment_id = r.payment_id AND a.id = r.parent_id
                          AND a.state IN ('reversing', 'reversed'))
     GROUP BY bucket, payment_id, currency
), unwanted AS (  -- taken when nobody wanted it any more, and not back yet
    SELECT a.bucket, a.payment_id, c.name, a.currency, a.approved_minor AS minor
      FROM psp_attempts a JOIN connector_accounts c ON c.id = a.connector_account_id
     WHERE a.operation = 'authorize' AND a.sale AND a.state = 'reversing'
), fees AS (
    SELECT a.bucket, a.payment_id, c.name, a.currency, f.key AS component, f.value::bigint AS minor
      FROM attempts a
      JOIN connector_accounts c ON c.id = a.connector_account_id,
           jsonb_each_text(a.fees->'minor') f
     WHERE a.fees->'minor' IS NOT NULL
), lines AS (
    SELECT t.bucket, t.payment_id, 'assets.psp_receivable.' || c.name AS account, t.currency, t.taken AS minor
      FROM counted t JOIN connector_accounts c ON c.id = t.connector_account_id
    UNION ALL
    SELECT t.bucket, t.payment_id, 'liabilities.order_clearing.' || c.name, t.currency, -t.taken
      FROM counted t
      JOIN payments p ON p.bucket = t.bucket AND p.id = t.payment_id
      JOIN callers c ON c.id = p.caller_id
    UNION ALL
    SELECT r.bucket, r.payment_id, 'liabilities.order_clearing.' || c.name, r.currency, r.minor
      FROM promised r
      JOIN payments p ON p.bucket = r.bucket AND p.id = r.payment_id
      JOIN callers c ON c.id = p.caller_id
    UNION ALL
    SELECT bucket, payment_id, 'liabilities.refunds_pending', currency, -minor FROM promised
    UNION ALL
    SELECT bucket, payment_id, 'assets.psp_receivable.' || name, currency, minor FROM unwanted
    UNION ALL
    SELECT bucket, payment_id, 'liabilities.refunds_pending', currency, -minor FROM unwanted
    UNION ALL
    SELECT f.bucket, f.payment_id, 'expenses.psp_fees.' || f.component || '.' || f.name, f.currency, f.minor
      FROM fees f
    UNION ALL
    SELECT f.bucket, f.payment_id, 'liabilities.fee_accrual.' || f.name, f.currency, -f.minor FROM fees f
    UNION ALL
    SELECT bucket, payment_id, 'memo.authorized', currency, held FROM counted
    UNION ALL
    SELECT bucket, payment_id, 'memo.contra', currency, -held FROM counted
), expected AS (
    SELECT bucket, payment_id, account, currency, sum(minor) AS minor
      FROM lines
     GROUP BY bucket, payment_id, account, currency
), posted AS (
    SELECT bucket, payment_id, account, currency, sum(minor) AS minor
      FROM postings
     WHERE payment_id NOT IN (SELECT id FROM stored_value_moves)
     GROUP BY bucket, payment_id, account, currency
)
SELECT count(*) OVER () AS total, payment_id, account, currency, coalesce(e.minor, 0)::text AS expected,
       coalesce(p.minor, 0)::text AS posted
  FROM expected e FULL JOIN posted p USING (bucket, payment_id, account, currency)
 WHERE coalesce(e.minor, 0) <> coalesce(p.minor, 0)
 LIMIT $1;

-- stored_value_differs :many
-- Balances against their moves and the books, and moves against the attempts that asked for them.
WITH moved AS (
    SELECT bucket, account_id, count(*) AS moves, max(number) AS last,
           sum(CASE WHEN declined IS NOT NULL THEN 0
                    WHEN kind IN ('load', 'adjust_up', 'release', 'refund') THEN minor
                    WHEN kind IN ('hold', 'sale', 'adjust_down', 'expire') THEN -minor ELSE 0 END) AS available,
           sum(CASE WHEN declined IS NOT NULL THEN 0 WHEN kind = 'hold' THEN minor
                    WHEN kind IN ('capture', 'release') THEN -minor ELSE 0 END) AS held
      FROM stored_value_moves
     GROUP BY bucket, account_id
), posted AS (
    SELECT m.bucket, m.account_id,
           -coalesce(sum(p.minor) FILTER (WHERE p.account = 'liabilities.stored_value'), 0) AS available,
           -coalesce(sum(p.minor) FILTER (WHERE p.account = 'liabilities.stored_value_held'), 0) AS held
      FROM postings p JOIN stored_value_moves m ON m.bucket = p.bucket AND m.id = p.payment_id
     WHERE p.account IN ('liabilities.stored_value', 'liabilities.stored_value_held')
     GROUP BY m.bucket, m.account_id
), asked AS (
    SELECT a.id, a.reference, a.state, coalesce(a.approved_minor, a.minor) AS minor,
           CASE a.operation WHEN 'authorize' THEN CASE WHEN a.sale THEN 'sale' ELSE 'hold' END
                            WHEN 'void' THEN 'release' ELSE a.operation END AS kind
      FROM attempts a JOIN connector_accounts c ON c.id = a.connector_account_id
     WHERE c.connector = 'stored_value'
), wrong AS (
    SELECT v.id AS account_id,
           format('%s available and %s held (minor units), its moves say %s and %s', v.available_minor, v.held_minor,
                  coalesce(m.available, 0), coalesce(m.held, 0)) AS what
      FROM stored_value_accounts v LEFT JOIN moved m ON m.bucket = v.bucket AND m.account_id = v.id
     WHERE v.available_minor <> coalesce(m.available, 0) OR v.held_minor <> coalesce(m.held, 0)
        OR v.moves <> coalesce(m.moves, 0) OR v.moves <> coalesce(m.last, 0)
    UNION ALL
    SELECT coalesce(v.id, p.account_id),
           format('%s available and %s held (minor units), the books say %s and %s', coalesce(v.available_minor, 0),
                  coalesce(v.held_minor, 0), coalesce(p.available, 0), coalesce(p.held, 0))
      FROM stored_value_accounts v FULL JOIN posted p ON p.bucket = v.bucket AND p.account_id = v.id
     WHERE coalesce(v.available_minor, 0) <> coalesce(p.available, 0) OR coalesce(v.held_minor, 0) <> coalesce(p.held, 0)
    UNION ALL
    SELECT m.account_id, format('move %s, a %s, has no journal of its amount', m.number, m.kind)
      FROM stored_value_moves m
     WHERE m.declined IS NULL
       AND NOT EXISTS (
           SELECT FROM journals j JOIN postings p
               ON p.bucket = j.bucket AND p.payment_id = j.payment_id AND p.journal_id = j.id
            WHERE j.bucket = m.bucket AND j.payment_id = m.id AND j.id = m.id
              AND j.effect = 'stored_value_' || m.kind AND p.minor = m.minor)
    UNION ALL
    SELECT m.account_id, format('move %s, a %s, was asked for by no attempt that stands', m.number, m.kind)
      FROM stored_value_moves m
     WHERE m.attempt_id IS NOT NULL AND m.declined IS NULL
       AND NOT EXISTS (SELECT FROM asked a
                        WHERE a.id = m.attempt_id AND a.state NOT IN ('declined', 'rejected')
                          AND (a.kind = m.kind OR (a.kind = 'capture' AND m.kind = 'release')))
    UNION ALL
    SELECT NULL, format('%s is approved, but %s (minor units) never moved', a.reference, a.minor)
      FROM asked a
     WHERE a.state = 'approved'
       AND NOT EXISTS (SELECT FROM stored_value_moves m
                        WHERE m.attempt_id = a.id AND m.kind = a.kind AND m.minor = a.minor AND m.declined IS NULL)
)
SELECT count(*) OVER () AS total, account_id, what FROM wrong LIMIT $1;

-- events_missing :many
-- Every attempt that concluded was announced as what it concluded, and every payment that failed before it had one.
WITH concluded AS (
    SELECT a.bucket, a.payment_id, a.id, a.reference, a.operation, a.state,
           CASE WHEN a.sale THEN 'sale' ELSE a.operation END || '_'
           || CASE WHEN a.state = 'reversed' AND a.closed = 'expired' THEN 'expired' ELSE a.state END AS type
      FROM attempts a
     WHERE a.state IN ('approved', 'declined', 'rejected', 'reversed')
    UNION ALL
    SELECT p.bucket, p.id, p.id, p.reference, 'authorize', 'failed', 'payment_failed'
      FROM payments p
     WHERE p.failure IS NOT NULL
)
SELECT count(*) OVER () AS total, c.payment_id, c.reference, c.operation, c.state
  FROM concluded c
 WHERE NOT EXISTS (
       SELECT FROM events e
        WHERE e.bucket = c.bucket AND e.payment_id = c.payment_id AND e.attempt_id = c.id
          AND e.type = c.type)
 LIMIT $1;

-- doubles_in_books :many
-- More than one live authorization, or more captured than the payment is for with what was added to it.
SELECT count(*) OVER () AS total, a.payment_id
  FROM attempts a JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id
 WHERE a.operation = 'authorize'
 GROUP BY a.bucket, a.payment_id, p.minor
HAVING count(*) FILTER (WHERE a.closed IS NULL AND a.state IN
           ('sent', 'unknown', 'pending', 'action_required', 'approved', 'reversing')) > 1
    OR sum(a.captured_minor - a.refunded_minor) > greatest(p.minor, max(a.total_minor))
 LIMIT $1;

-- splits_differ :many
-- The tenders of a payment pay what it is for; and where it is nobody's turn and no part is out, nothing is half done.
WITH parts AS (
    SELECT p.bucket, p.part_of AS payment_id, count(*) AS there, sum(p.minor) AS minor, sum(a.held) AS held,
           coalesce(bool_or(a.out), false) AS out
      FROM payments p
      LEFT JOIN LATERAL (
           SELECT sum(authorized_minor - captured_minor - voided_minor) AS held,
                  bool_or(state IN ('sent', 'unknown', 'pending', 'action_required', 'reversing')) AS out
             FROM attempts a
            WHERE a.bucket = p.bucket AND a.payment_id = p.id) a ON true
     WHERE p.part_of IS NOT NULL
     GROUP BY p.bucket, p.part_of
), judged AS (
    SELECT s.payment_id,
           CASE
           WHEN (SELECT sum((t->>'minor')::bigint) FROM jsonb_array_elements(s.tenders) t) <> w.minor
             OR coalesce(c.there, 0) > w.tenders OR (c.there = w.tenders AND c.minor <> w.minor)
                THEN 'its tenders are not what it is for'
           WHEN s.look_at IS NOT NULL OR c.out THEN NULL
           WHEN s.closing IS NOT NULL AND c.held > 0 THEN 'all of it was to be taken back, and something is still held'
           WHEN EXISTS (SELECT FROM split_orders o
                         WHERE o.bucket = s.bucket AND o.payment_id = s.payment_id AND o.ended IS NULL)
                THEN 'something was asked of it, and nobody does it'
           WHEN s.closing IS NULL AND coalesce(c.there, 0) < w.tenders THEN 'a tender was not asked, and nobody asks it'
           WHEN s.closing IS NULL AND w.sale AND NOT EXISTS (
                SELECT FROM split_orders o WHERE o.bucket = s.bucket AND o.payment_id = s.payment_id)
                THEN 'it was to be captured, and nobody does it'
           END AS wrong
      FROM splits s
      JOIN payments w ON w.bucket = s.bucket AND w.id = s.payment_id
      LEFT JOIN parts c ON c.bucket = s.bucket AND c.payment_id = s.payment_id
)
SELECT count(*) OVER () AS total, payment_id, wrong
  FROM judged
 WHERE wrong IS NOT NULL
 LIMIT $1;

-- tariffs :one
SELECT document::text AS document, merchant_id FROM routing_tariffs WHERE id = $1;

-- accounts :many
SELECT name, id FROM connector_accounts WHERE merchant_id = $1;

-- payments :many
-- Every payment with its attempts: read through a cursor, judged by the domain's own arithmetic.
SELECT p.*,
       (SELECT jsonb_agg(to_jsonb(a) - 'request' ORDER BY a.number)
          FROM attempts a
         WHERE a.bucket = p.bucket AND a.payment_id = p.id)::text AS tries
  FROM payments p;
