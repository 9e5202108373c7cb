-- add :none
-- ($1 JSON array) What a process has seen approved is added to what is kept, in the order of the keys.
INSERT INTO routing_volumes AS v (merchant_id, livemode, connector_account_id, currency, period, minor, changed_at)
SELECT r.merchant_id, r.livemode, r.connector_account_id, r.currency, r.period, r.minor, clock_timestamp()
  FROM jsonb_to_recordset($1::jsonb) AS r(
       merchant_id uuid, livemode boolean, connector_account_id uuid, currency char(3), period text, minor bigint)
 ORDER BY r.merchant_id, r.livemode, r.connector_account_id, r.currency, r.period
    ON CONFLICT (merchant_id, livemode, connector_account_id, currency, period) DO UPDATE
   SET minor = v.minor + excluded.minor, changed_at = excluded.changed_at;

-- kept :many
-- ($1 periods) Those that are not over.
SELECT merchant_id, livemode, connector_account_id, currency, period, minor
  FROM routing_volumes
 WHERE period = ANY ($1::text[]);

-- stick :none
-- ($1 JSON array) In the order of the keys, so that no two processes wait for each other.
WITH told AS (
    SELECT i.bucket, i.id, r.account
      FROM jsonb_to_recordset($1::jsonb) AS r(bucket smallint, id uuid, account uuid)
      JOIN instruments i ON i.bucket = r.bucket AND i.id = r.id
     WHERE i.approved_by IS DISTINCT FROM r.account
     ORDER BY i.bucket, i.id
       FOR UPDATE OF i
)
UPDATE instruments i
   SET approved_by = t.account
  FROM told t
 WHERE i.bucket = t.bucket AND i.id = t.id;
