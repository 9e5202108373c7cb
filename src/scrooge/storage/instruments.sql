-- add :none
INSERT INTO instruments (bucket, id, merchant_id, livemode, customer, brand, iin, last4, exp, network_transaction_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- add_credential :none
INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token, psp_customer)
VALUES ($1, $2, $3, $4, $5, $6);

-- read :many
-- ($1 buckets, $2 ids)
SELECT i.*,
       (SELECT jsonb_agg(jsonb_build_object('connector_account', c.connector_account_id, 'psp_token', c.psp_token,
                                            'psp_customer', c.psp_customer, 'source', c.source,
                                            'card_fingerprint', c.card_fingerprint) ORDER BY c.position)
          FROM credentials c
         WHERE c.bucket = i.bucket AND c.instrument_id = i.id)::text AS keys,
       (SELECT jsonb_build_object('connector_account', t.connector_account_id, 'token', t.token, 'status', t.status,
                                  'last4', t.last4, 'exp', t.exp)
          FROM network_tokens t
         WHERE t.bucket = i.bucket AND t.instrument_id = i.id AND t.token IS NOT NULL)::text AS network_token,
       CASE WHEN i.stored_value_id IS NOT NULL THEN
            (SELECT jsonb_build_object('id', v.id, 'currency', v.currency, 'expires_at', v.expires_at,
                                       'closed_at', v.closed_at)
               FROM stored_value_accounts v
              WHERE v.bucket = i.bucket AND v.id = i.stored_value_id)::text END AS stored_value
  FROM unnest($1::smallint[], $2::uuid[]) AS wanted(bucket, id)
  JOIN instruments i ON i.bucket = wanted.bucket AND i.id = wanted.id
 WHERE i.deleted_at IS NULL;

-- of_customer :many
-- ($4 ids before, $5 rows) Newest first.
SELECT i.*,
       (SELECT jsonb_agg(jsonb_build_object('connector_account', c.connector_account_id, 'psp_token', c.psp_token,
                                            'psp_customer', c.psp_customer, 'source', c.source,
                                            'card_fingerprint', c.card_fingerprint) ORDER BY c.position)
          FROM credentials c
         WHERE c.bucket = i.bucket AND c.instrument_id = i.id)::text AS keys,
       (SELECT jsonb_build_object('connector_account', t.connector_account_id, 'token', t.token, 'status', t.status,
                                  'last4', t.last4, 'exp', t.exp)
          FROM network_tokens t
         WHERE t.bucket = i.bucket AND t.instrument_id = i.id AND t.token IS NOT NULL)::text AS network_token,
       CASE WHEN i.stored_value_id IS NOT NULL THEN
            (SELECT jsonb_build_object('id', v.id, 'currency', v.currency, 'expires_at', v.expires_at,
                                       'closed_at', v.closed_at)
               FROM stored_value_accounts v
              WHERE v.bucket = i.bucket AND v.id = i.stored_value_id)::text END AS stored_value
  FROM instruments i
 WHERE i.merchant_id = $1 AND i.customer = $2 AND i.livemode = $3 AND i.deleted_at IS NULL AND i.id < $4
 ORDER BY i.id DESC
 LIMIT $5;

-- delete :one
UPDATE instruments SET deleted_at = now()
 WHERE bucket = $1 AND id = $2 AND merchant_id = $3 AND deleted_at IS NULL
RETURNING livemode, customer, vault AND card_status <> 'deleted' AS at_vault;

-- delete_credentials :many
DELETE FROM credentials
 WHERE bucket = $1 AND instrument_id = $2
RETURNING connector_account_id, psp_token, psp_customer;

-- delete_network_token :one
DELETE FROM network_tokens WHERE bucket = $1 AND instrument_id = $2 RETURNING connector_account_id, token;
