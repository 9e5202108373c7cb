-- add :none
-- ($1 JSON array, $2 rows a merchant may have) What is new beyond the most is counted under one name.
INSERT INTO unmapped_declines AS u (merchant_id, livemode, connector, code, network_code, brand, declines, payment_id)
SELECT x.merchant_id, x.livemode, x.connector, x.code, x.network_code, x.brand, sum(x.declines),
       (max(x.payment_id::text))::uuid
  FROM (SELECT r.merchant_id, r.livemode, c.connector, r.declines, r.payment_id,
               CASE WHEN kept.known THEN r.code ELSE '(more)' END AS code,
               CASE WHEN kept.known THEN r.network_code ELSE '' END AS network_code,
               CASE WHEN kept.known THEN r.brand ELSE '' END AS brand
          FROM jsonb_to_recordset($1::jsonb) AS r(
               merchant_id uuid, livemode boolean, connector_account_id uuid, code text, network_code text, brand text,
               declines bigint, payment_id uuid)
          JOIN connector_accounts c ON c.id = r.connector_account_id
         CROSS JOIN LATERAL (
               SELECT (SELECT count(*) FROM unmapped_declines n
                        WHERE n.merchant_id = r.merchant_id AND n.livemode = r.livemode) < $2::integer
                      OR EXISTS (
                         SELECT FROM unmapped_declines n
                          WHERE n.merchant_id = r.merchant_id AND n.livemode = r.livemode AND n.connector = c.connector
                            AND n.code = r.code AND n.network_code = r.network_code AND n.brand = r.brand) AS known
               ) AS kept) AS x
 GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (merchant_id, livemode, connector, code, network_code, brand) DO UPDATE
   SET declines = u.declines + excluded.declines, last_seen = now(), payment_id = excluded.payment_id;

-- page :many
-- ($3 rows) What was heard last comes first.
SELECT connector, code, network_code, brand, declines, first_seen, last_seen, payment_id
  FROM unmapped_declines
 WHERE merchant_id = $1 AND livemode = $2
 ORDER BY last_seen DESC, connector, code, network_code, brand
 LIMIT $3;

-- heard :one
-- Codes of the last week.
SELECT count(*) AS codes FROM unmapped_declines WHERE last_seen > now() - interval '7 days';
