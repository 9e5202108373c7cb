-- read :many
-- ($1 buckets, $2 ids)
SELECT m.*
  FROM unnest($1::smallint[], $2::uuid[]) AS wanted(bucket, id)
  JOIN mandates m ON m.bucket = wanted.bucket AND m.id = wanted.id;

-- of_customer :many
-- ($4 ids before, $5 rows) Newest first.
SELECT *
  FROM mandates
 WHERE merchant_id = $1 AND customer = $2 AND livemode = $3 AND id < $4
 ORDER BY id DESC
 LIMIT $5;

-- of_instrument :many
-- Those that may still be withdrawn.
SELECT * FROM mandates WHERE instrument_id = $1 AND status <> 'revoked' ORDER BY id;

-- write :many
-- ($1 a JSON array) Each that is not there already, with its event if it is active; returns those that were written. Its
-- events are of the payment with which the payer agreed, which has the same number.
WITH input AS (
    SELECT *
      FROM jsonb_to_recordset($1::jsonb) AS r(
           bucket smallint, id uuid, merchant_id uuid, livemode boolean, caller_id uuid, customer text,
           instrument_id uuid, use text, status text, max_minor bigint, currency char(3), period text, description text,
           fallback boolean, connector_account_id uuid, network_transaction_id text, consent_at timestamptz, event_id uuid, type text,
           content jsonb)
), written AS (
    INSERT INTO mandates (
           bucket, id, merchant_id, livemode, caller_id, customer, instrument_id, use, status, max_minor, currency,
           period, description, fallback, connector_account_id, network_transaction_id, consent_at)
    SELECT bucket, id, merchant_id, livemode, caller_id, customer, instrument_id, use, status, max_minor, currency,
           period, description, coalesce(fallback, false), connector_account_id, network_transaction_id, consent_at
      FROM input
        ON CONFLICT DO NOTHING
    RETURNING id, version
), announced AS (
    INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
    SELECT i.bucket, i.id, i.event_id, i.merchant_id, i.livemode, i.id, i.type, 1, i.content
      FROM input i
     WHERE i.status = 'active' AND (i.id IN (SELECT id FROM written)) IS TRUE
)
SELECT id FROM written;

-- renew :many
SELECT renew_mandates AS id FROM renew_mandates($1::jsonb);

-- revoke :many
SELECT revoke_mandates AS id FROM revoke_mandates($1::jsonb);

-- fallback :one
-- ($1 bucket, $2 payment) The latest that its payer gave for the same use and opted in, that allows the amount, pays with
-- another instrument and was not tried.
SELECT m.*
  FROM payments p
  JOIN recoveries r ON r.bucket = p.bucket AND r.payment_id = p.id
  JOIN mandates m ON m.merchant_id = p.merchant_id AND m.customer = p.customer AND m.livemode = p.livemode
  JOIN instruments i ON i.id = m.instrument_id
                    AND i.bucket = (('x' || right(m.instrument_id::text, 4))::bit(16)::integer & 1023)::smallint
 WHERE p.bucket = $1 AND p.id = $2
   AND m.id <> p.mandate_id AND m.status = 'active' AND m.fallback AND m.use = p.mandate_use
   AND (m.max_minor IS NULL OR (m.currency = p.currency AND m.max_minor >= p.minor))
   AND m.instrument_id NOT IN (p.instrument_id, r.instrument_id) AND i.deleted_at IS NULL
   AND NOT EXISTS (SELECT FROM retries t WHERE t.bucket = p.bucket AND t.payment_id = p.id AND t.mandate_id = m.id)
 ORDER BY m.consent_at DESC, m.id DESC
 LIMIT 1;
