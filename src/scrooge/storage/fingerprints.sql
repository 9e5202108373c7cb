-- tell :one
-- ($1 credentials with what the PSP calls their card, $2 names that cards have besides: JSON arrays) A credential that
-- is another by now stays as it is.
WITH told AS (
    UPDATE credentials c
       SET card_fingerprint = r.card_fingerprint
      FROM jsonb_to_recordset($1::jsonb) AS r(
           bucket smallint, instrument_id uuid, connector_account_id uuid, psp_token text, card_fingerprint text)
     WHERE c.bucket = r.bucket AND c.instrument_id = r.instrument_id
       AND c.connector_account_id = r.connector_account_id AND c.psp_token = r.psp_token
       AND c.card_fingerprint IS DISTINCT FROM r.card_fingerprint
    RETURNING 1
)
SELECT (SELECT count(*) FROM told) AS told, name_cards($2::jsonb) AS counted;

-- rename :one
SELECT name_cards($1::jsonb) AS counted;
