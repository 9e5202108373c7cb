-- create :many
-- ($1 payments, $2 attempts, $3 decisions, $4 what they ask of the schemes' counters, $5 what to give back of one that
-- is not made, $6 events of those that end without an attempt: JSON arrays) Guards, payment, first attempt and why it goes where it goes in one statement; returns the
-- ids that were made, and those that a scheme's rule refuses, with the rule. A row whose key or reference is taken makes
-- nothing, and says so by its absence.
-- A reference that is already visible does not use up the key, and is not counted; nor does what is refused.
WITH input AS (
    SELECT *
      FROM jsonb_to_recordset($1::jsonb) AS r(
           bucket smallint, id uuid, merchant_id uuid, caller_id uuid, reference text, minor bigint, currency char(3),
           sale boolean, livemode boolean, status text, deadline_at timestamptz, accounts uuid[], customer text,
           instrument_id uuid, initiator text, purpose text, return_url text, statement_descriptor text,
           metadata jsonb, save_for text, created_at timestamptz, key_bucket smallint, key text, fingerprint text,
           answered boolean, failure jsonb, retry_until timestamptz,
           pinned_account_id uuid, incremental boolean, save_terms jsonb,
           mandate_id uuid, mandate_use text, part_of uuid, tenders smallint)
), unheard AS (
    SELECT *
      FROM input i
     WHERE (SELECT true FROM payment_references r
             WHERE r.bucket = i.bucket AND r.merchant_id = i.merchant_id AND r.caller_id = i.caller_id
               AND r.livemode = i.livemode AND r.reference = i.reference) IS NOT TRUE
), withdrawn AS MATERIALIZED (
    SELECT m AS payment_id
      FROM without_mandate((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($4::jsonb) AS w
            WHERE w->'mandate_id' IS NOT NULL AND ((w->>'payment_id')::uuid IN (SELECT id FROM unheard)) IS TRUE)) AS m
), used_up AS MATERIALIZED (
    SELECT u AS payment_id
      FROM admit_low_value((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($4::jsonb) AS w
            WHERE w->'counts' IS NULL AND w->'mandate_id' IS NULL
              AND ((w->>'payment_id')::uuid IN (SELECT id FROM unheard)) IS TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM withdrawn)) IS NOT TRUE)) AS u
), refused AS MATERIALIZED (
    SELECT r.payment_id, r.rule, r.until
      FROM admit_attempts((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($4::jsonb) AS w
            WHERE w->'counts' IS NOT NULL AND ((w->>'payment_id')::uuid IN (SELECT id FROM unheard)) IS TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM withdrawn)) IS NOT TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM used_up)) IS NOT TRUE)) AS r
     UNION ALL
    SELECT payment_id, 'low_value', NULL FROM used_up
     UNION ALL
    SELECT payment_id, 'mandate', NULL FROM withdrawn
), fresh AS (
    SELECT * FROM unheard WHERE (id IN (SELECT payment_id FROM refused)) IS NOT TRUE
), keyed AS (
    INSERT INTO idempotency_keys (bucket, caller_id, livemode, key, fingerprint, payment_id, deadline_at)
    SELECT key_bucket, caller_id, livemode, key, decode(fingerprint, 'hex'), id, deadline_at FROM fresh
        ON CONFLICT DO NOTHING
    RETURNING payment_id
), referenced AS (
    INSERT INTO payment_references (bucket, merchant_id, caller_id, livemode, reference, payment_id)
    SELECT bucket, merchant_id, caller_id, livemode, reference, id FROM fresh
     WHERE (id IN (SELECT payment_id FROM keyed)) IS TRUE
        ON CONFLICT DO NOTHING
    RETURNING payment_id
), made AS (
    INSERT INTO payments (
           bucket, id, merchant_id, caller_id, reference, minor, currency, sale, livemode, status, deadline_at,
           accounts, customer, instrument_id, initiator, purpose, return_url, statement_descriptor, metadata,
           save_for, created_at, answered, failure, retry_until, pinned_account_id, incremental, save_terms,
           mandate_id, mandate_use, part_of, tenders)
    SELECT bucket, id, merchant_id, caller_id, reference, minor, currency, sale, livemode, status, deadline_at,
           accounts, customer, instrument_id, initiator, purpose, return_url, statement_descriptor, metadata,
           save_for, created_at, answered, failure, retry_until, pinned_account_id, incremental, save_terms,
           mandate_id, mandate_use, part_of, tenders
      FROM fresh
     WHERE (id IN (SELECT payment_id FROM referenced)) IS TRUE
    RETURNING id
), tried AS (
    INSERT INTO attempts (
           bucket, payment_id, id, number, operation, connector_account_id, minor, currency, sale, state, reference,
           return_token, request, sent_at, teaches, ask_at, counted, authentication, fees)
    SELECT a.bucket, a.payment_id, a.id, a.number, a.operation, a.connector_account_id, a.minor, a.currency, a.sale,
           a.state, a.reference, a.return_token, a.request, a.sent_at, a.teaches,
           now() + make_interval(secs => a.ask_in), a.counted, a.authentication, a.fees
      FROM jsonb_to_recordset($2::jsonb) AS a(
           bucket smallint, payment_id uuid, id uuid, number smallint, operation text, connector_account_id uuid,
           minor bigint, currency char(3), sale boolean, state text, reference text, return_token text,
           request jsonb, sent_at timestamptz, teaches uuid, ask_in double precision, counted jsonb, authentication jsonb,
           fees jsonb)
     WHERE (a.payment_id IN (SELECT id FROM made)) IS TRUE
), decided AS (
    INSERT INTO routing_decisions (bucket, payment_id, attempt_id, decision)
    SELECT r.bucket, r.payment_id, r.attempt_id, r.decision
      FROM jsonb_to_recordset($3::jsonb) AS r(bucket smallint, payment_id uuid, attempt_id uuid, decision jsonb)
     WHERE (r.payment_id IN (SELECT id FROM made)) IS TRUE
), announced AS (
    INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
    SELECT r.bucket, r.payment_id, r.id, r.merchant_id, r.livemode, r.attempt_id, r.type, r.object_version, r.content
      FROM jsonb_to_recordset($6::jsonb) AS r(
           bucket smallint, payment_id uuid, id uuid, merchant_id uuid, livemode boolean, attempt_id uuid, type text,
           object_version integer, content jsonb)
     WHERE (r.payment_id IN (SELECT id FROM made)) IS TRUE
), unmade AS MATERIALIZED (
    SELECT end_attempts((
           SELECT coalesce(jsonb_agg(e), '[]')
             FROM jsonb_array_elements($5::jsonb) AS e
            WHERE ((e->>'payment_id')::uuid IN (SELECT id FROM fresh)) IS TRUE
              AND ((e->>'payment_id')::uuid IN (SELECT id FROM made)) IS NOT TRUE)) AS ends
)
SELECT id, NULL::text AS rule, NULL::bigint AS until FROM made
 UNION ALL
SELECT payment_id, rule, until FROM refused
 UNION ALL
SELECT NULL, NULL, NULL FROM unmade WHERE ends < 0;  -- No row: it is named so that it is done.

-- save :many
-- ($1 payments, $2 changed attempts, $3 new attempts, $4 journals, $5 postings, $6 events, $7 decisions, $8 what new
-- authorizations ask of the schemes' counters, $9 what ends of others give back to them, $10 steps of what follows
-- declines, $11 mandates that issuers withdraw: JSON arrays)
-- Everything one change does, or none of it: the version each payment had when it was read decides. Returns
-- the payments that were written, and those whose new attempt a scheme's rule refuses, with the rule, of which nothing
-- is written; one that is absent was changed by somebody else meanwhile. (`IS TRUE` keeps
-- the planner from making a join of it: a hashed look-up is right for one row and for a hundred.) A payment that
-- somebody has locked is left to them, or one of them would hold up the whole batch.
WITH free AS (
    SELECT r.*
      FROM jsonb_to_recordset($1::jsonb) AS r(
           bucket smallint, id uuid, status text, version integer, answered boolean, accounts uuid[],
           deadline_at timestamptz, instrument_id uuid)
      JOIN payments p ON p.bucket = r.bucket AND p.id = r.id AND p.version = r.version
       FOR UPDATE OF p SKIP LOCKED
), withdrawn AS MATERIALIZED (
    SELECT m AS payment_id
      FROM without_mandate((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($8::jsonb) AS w
            WHERE w->'mandate_id' IS NOT NULL AND ((w->>'payment_id')::uuid IN (SELECT id FROM free)) IS TRUE)) AS m
), used_up AS MATERIALIZED (
    SELECT u AS payment_id
      FROM admit_low_value((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($8::jsonb) AS w
            WHERE w->'counts' IS NULL AND w->'mandate_id' IS NULL
              AND ((w->>'payment_id')::uuid IN (SELECT id FROM free)) IS TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM withdrawn)) IS NOT TRUE)) AS u
), refused AS MATERIALIZED (
    SELECT v.payment_id, v.rule, v.until
      FROM admit_attempts((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($8::jsonb) AS w
            WHERE w->'counts' IS NOT NULL AND ((w->>'payment_id')::uuid IN (SELECT id FROM free)) IS TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM withdrawn)) IS NOT TRUE
              AND ((w->>'payment_id')::uuid IN (SELECT payment_id FROM used_up)) IS NOT TRUE)) AS v
     UNION ALL
    SELECT payment_id, 'low_value', NULL FROM used_up
     UNION ALL
    SELECT payment_id, 'mandate', NULL FROM withdrawn
), touched AS (
    UPDATE payments p
       SET status = r.status, version = r.version + 1, answered = r.answered, accounts = r.accounts,
           deadline_at = r.deadline_at, instrument_id = r.instrument_id
      FROM free r
     WHERE p.bucket = r.bucket AND p.id = r.id AND p.version = r.version
       AND (r.id IN (SELECT payment_id FROM refused)) IS NOT TRUE
    RETURNING p.id
), moved AS (
    UPDATE attempts a
       SET state = r.state, closed = r.closed,
           closed_at = CASE WHEN r.closed IS NOT NULL THEN coalesce(a.closed_at, now()) END,
           approved_minor = r.approved_minor, total_minor = r.total_minor,
           authorized_minor = r.authorized_minor, captured_minor = r.captured_minor, voided_minor = r.voided_minor,
           refunded_minor = r.refunded_minor, held_minor = r.held_minor, held_refund_minor = r.held_refund_minor,
           psp_reference = r.psp_reference, network_transaction_id = r.network_transaction_id,
           psp_token = r.psp_token, psp_customer = r.psp_customer, checks = r.checks, decline = r.decline, raw_code = r.raw_code,
           raw_message = r.raw_message, network_code = r.network_code, advice_code = r.advice_code,
           reason = r.reason, action = r.action, return_token = r.return_token, expires_at = r.expires_at,
           sent_at = r.sent_at, concluded_at = r.concluded_at,
           ask_at = CASE WHEN r.same THEN a.ask_at ELSE now() + make_interval(secs => r.ask_in) END,  -- same: only what was counted on it changed
           request = coalesce(r.request, a.request), followed = r.followed, fees = r.fees,
           recorded_at = CASE WHEN r.request IS NULL THEN a.recorded_at ELSE now() END
      FROM jsonb_to_recordset($2::jsonb) AS r(
           bucket smallint, payment_id uuid, id uuid, state text, closed text,
           approved_minor bigint, total_minor bigint, authorized_minor bigint, captured_minor bigint,
           voided_minor bigint, refunded_minor bigint, held_minor bigint, held_refund_minor bigint, psp_reference text,
           network_transaction_id text, psp_token text, psp_customer text, checks jsonb, decline text, raw_code text,
           raw_message text,
           network_code text, advice_code text, reason text, action jsonb, return_token text,
           expires_at timestamptz, sent_at timestamptz, concluded_at timestamptz, ask_in double precision, same boolean,
           request jsonb, followed text, fees jsonb)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
       AND a.bucket = r.bucket AND a.payment_id = r.payment_id AND a.id = r.id
), added AS (
    INSERT INTO attempts (
           bucket, payment_id, id, number, operation, parent_id, connector_account_id, minor, currency, sale, final,
           state, reference, caller_reference, return_token, request, sent_at, teaches, ask_at, closed, closed_at,
           approved_minor, psp_reference, reason, concluded_at, counted, authentication, fees, total_minor)
    SELECT r.bucket, r.payment_id, r.id, r.number, r.operation, r.parent_id, r.connector_account_id, r.minor,
           r.currency, r.sale, r.final, r.state, r.reference, r.caller_reference, r.return_token, r.request,
           r.sent_at, r.teaches, now() + make_interval(secs => r.ask_in), r.closed, CASE WHEN r.closed IS NOT NULL THEN now() END,
           r.approved_minor, r.psp_reference, r.reason, r.concluded_at, r.counted, r.authentication, r.fees, r.total_minor
      FROM jsonb_to_recordset($3::jsonb) AS r(
           bucket smallint, payment_id uuid, id uuid, number smallint, operation text, parent_id uuid,
           connector_account_id uuid, minor bigint, currency char(3), sale boolean, final boolean, state text,
           reference text, caller_reference text, return_token text, request jsonb, sent_at timestamptz, teaches uuid,
           ask_in double precision, closed text, approved_minor bigint, psp_reference text, reason text,
           concluded_at timestamptz, counted jsonb, authentication jsonb,
           fees jsonb, total_minor bigint)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), journaled AS (
    INSERT INTO journals (bucket, payment_id, id, attempt_id, effect, seq, tariffs_id)
    SELECT r.bucket, r.payment_id, r.id, r.attempt_id, r.effect, r.seq, r.tariffs_id
      FROM jsonb_to_recordset($4::jsonb) AS r(
           bucket smallint, payment_id uuid, id uuid, attempt_id uuid, effect text, seq smallint, tariffs_id uuid)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), posted AS (
    INSERT INTO postings (bucket, payment_id, journal_id, line, merchant_id, livemode, account, minor, currency)
    SELECT r.bucket, r.payment_id, r.journal_id, r.line, r.merchant_id, r.livemode, r.account, r.minor, r.currency
      FROM jsonb_to_recordset($5::jsonb) AS r(
           bucket smallint, payment_id uuid, journal_id uuid, line smallint, merchant_id uuid, livemode boolean,
           account text, minor bigint, currency char(3))
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), announced AS (
    INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
    SELECT r.bucket, r.payment_id, r.id, r.merchant_id, r.livemode, r.attempt_id, r.type,
           r.object_version, r.content
      FROM jsonb_to_recordset($6::jsonb) AS r(
           bucket smallint, payment_id uuid, id uuid, merchant_id uuid, livemode boolean, attempt_id uuid, type text,
           object_version integer, content jsonb)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), decided AS (
    INSERT INTO routing_decisions (bucket, payment_id, attempt_id, decision)
    SELECT r.bucket, r.payment_id, r.attempt_id, r.decision
      FROM jsonb_to_recordset($7::jsonb) AS r(bucket smallint, payment_id uuid, attempt_id uuid, decision jsonb)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), stepped AS (
    INSERT INTO retries (
           bucket, payment_id, seq, merchant_id, livemode, state, number, round, retry_at, because, decline, arm,
           propensity, timetable, attempt_id, phase, means, why, control, spent, mandate_id, card_at,
           due_at)
    SELECT r.bucket, r.payment_id, r.seq, r.merchant_id, r.livemode, r.state, r.number, r.round, r.retry_at, r.because,
           r.decline, r.arm, r.propensity, r.timetable, r.attempt_id, r.phase, r.means, r.why, r.control,
           r.spent, r.mandate_id, r.card_at, now() + make_interval(secs => r.due_in)
      FROM jsonb_to_recordset($10::jsonb) AS r(
           bucket smallint, payment_id uuid, seq smallint, merchant_id uuid, livemode boolean, state text,
           number smallint, round smallint, retry_at timestamptz, because text, decline text, arm text,
           propensity double precision, timetable text, attempt_id uuid, phase text, means text, why text,
           control boolean, spent text[], mandate_id uuid, card_at timestamptz, due_in double precision)
     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE
), revoked AS MATERIALIZED (
    SELECT revoke_mandates((
           SELECT coalesce(jsonb_agg(w), '[]')
             FROM jsonb_array_elements($11::jsonb) AS w
            WHERE ((w->>'payment_id')::uuid IN (SELECT id FROM touched)) IS TRUE)) AS id
), ended AS MATERIALIZED (
    SELECT end_attempts((
           SELECT coalesce(jsonb_agg(e), '[]')
             FROM jsonb_array_elements($9::jsonb) AS e
            WHERE e->'scope' IS NOT NULL AND ((e->>'payment_id')::uuid IN (SELECT id FROM touched)) IS TRUE)) AS ends
), begun_anew AS MATERIALIZED (
    SELECT payer_authenticated((
           SELECT coalesce(jsonb_agg(e), '[]')
             FROM jsonb_array_elements($9::jsonb) AS e
            WHERE e->'scope' IS NULL AND ((e->>'payment_id')::uuid IN (SELECT id FROM touched)) IS TRUE)) AS ends
)
SELECT id, NULL::text AS rule, NULL::bigint AS until FROM touched
 UNION ALL
SELECT payment_id, rule, until FROM refused
 UNION ALL
SELECT NULL, NULL, NULL FROM revoked WHERE id IS NULL  -- No row: it is named so that it is done, as are these.
 UNION ALL
SELECT NULL, NULL, NULL FROM ended WHERE ends < 0
 UNION ALL
SELECT NULL, NULL, NULL FROM begun_anew WHERE ends < 0;

-- lock :many
-- The payment row is the lock for everything that happens to the payment; its attempts are locked after it, against
-- the worker's claims. Read in a later statement: this one's snapshot may be older than the locks.
WITH locked AS (
    SELECT bucket, id FROM payments WHERE bucket = $1 AND id = $2 FOR UPDATE
)
SELECT a.id
  FROM locked l JOIN attempts a ON a.bucket = l.bucket AND a.payment_id = l.id
   FOR UPDATE OF a;

-- payment :one
-- One payment with all its attempts, without the bytes that were sent.
SELECT p.*,
       (SELECT jsonb_agg(to_jsonb(a) - 'request' ORDER BY a.number)
          FROM attempts a
         WHERE a.bucket = p.bucket AND a.payment_id = p.id)::text AS tries,
       CASE WHEN p.retry_until IS NOT NULL THEN
            (SELECT to_jsonb(r) FROM retries r
              WHERE r.bucket = p.bucket AND r.payment_id = p.id
              ORDER BY r.seq DESC LIMIT 1)::text END AS retry
  FROM payments p
 WHERE p.bucket = $1 AND p.id = $2;

-- request_of :one
-- Its age in seconds is the database's, whose clock all processes share.
SELECT request::text, extract(epoch FROM now() - recorded_at)::float8 AS age
  FROM attempts
 WHERE bucket = $1 AND payment_id = $2 AND id = $3;

-- payment_of_reference :one
SELECT payment_id
  FROM payment_references
 WHERE bucket = $1 AND merchant_id = $2 AND caller_id = $3 AND livemode = $4 AND reference = $5;

-- key :one
SELECT fingerprint, payment_id, attempt_id, deadline_at
  FROM idempotency_keys
 WHERE bucket = $1 AND caller_id = $2 AND livemode = $3 AND key = $4;

-- claim_key :one
-- Nothing comes back when the key exists, after waiting for whoever is writing it.
INSERT INTO idempotency_keys (bucket, caller_id, livemode, key, fingerprint, payment_id, attempt_id, deadline_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING
RETURNING payment_id;

-- attempt_of_caller_reference :one
SELECT id
  FROM attempts
 WHERE bucket = $1 AND payment_id = $2 AND operation = $3 AND caller_reference = $4;

-- attempts_at_psp :many
-- For news that does not carry our reference: the PSP's own, within one connector account.
SELECT payment_id, id, operation, reference
  FROM attempts
 WHERE connector_account_id = $1 AND psp_reference = $2
 ORDER BY payment_id, number
 LIMIT 50;

-- open_break :none
INSERT INTO breaks (bucket, id, kind, merchant_id, payment_id, attempt_id, connector_account_id, detail, natural_key, livemode)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)
    ON CONFLICT DO NOTHING;
