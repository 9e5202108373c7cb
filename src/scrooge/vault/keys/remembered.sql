-- Asked once in a rotation only, so that no index has to be kept for it.

-- remembered :one
-- ($1 a key's id as it stands in a tag) Whether a repeated request would be known by a digest under this key.
SELECT EXISTS (SELECT FROM idempotency_keys WHERE substring(fingerprint FROM 2 FOR 4) = $1) AS needed;
