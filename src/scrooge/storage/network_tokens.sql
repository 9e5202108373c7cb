-- request :one
-- Once for each instrument, whoever asks.
INSERT INTO network_tokens (bucket, instrument_id, connector_account_id, status) VALUES ($1, $2, $3, 'requested')
    ON CONFLICT DO NOTHING
RETURNING instrument_id;

-- made :none
UPDATE network_tokens SET token = $3, status = $4, last4 = $5, exp = $6, seen = seen + 1
 WHERE bucket = $1 AND instrument_id = $2 AND status = 'requested';

-- refused :none
UPDATE network_tokens SET status = 'refused' WHERE bucket = $1 AND instrument_id = $2 AND status = 'requested';

-- withdrawn :none
DELETE FROM network_tokens WHERE bucket = $1 AND instrument_id = $2 AND status = 'requested';

-- seen :one
SELECT seen FROM network_tokens WHERE bucket = $1 AND instrument_id = $2 AND token = $3;

-- look :one
-- Compare-and-set: another look that ended meanwhile may be the later one.
UPDATE network_tokens SET status = $5, last4 = $6, exp = $7, seen = seen + 1
 WHERE bucket = $1 AND instrument_id = $2 AND token = $3 AND seen = $4
RETURNING seen;

-- drop :one
DELETE FROM network_tokens WHERE bucket = $1 AND instrument_id = $2 AND token = $3 RETURNING token;

-- of_token :many
SELECT t.bucket, t.instrument_id, i.merchant_id, i.livemode
  FROM network_tokens t JOIN instruments i ON i.bucket = t.bucket AND i.id = t.instrument_id
 WHERE t.connector_account_id = $1 AND t.token = $2;
