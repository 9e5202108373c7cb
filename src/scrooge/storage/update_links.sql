-- add :one
-- ($10 seconds)
INSERT INTO update_links (bucket, id, merchant_id, livemode, caller_id, mandate_id, payment_id, digest, return_url, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10))
RETURNING *, false AS expired, NULL::text AS merchant;

-- find :one
SELECT l.*, l.expires_at <= now() AS expired, m.name AS merchant
  FROM update_links l JOIN merchants m ON m.id = l.merchant_id
 WHERE l.bucket = $1 AND l.id = $2;

-- of_card :one
-- By which the card of a verification came.
SELECT l.*, l.expires_at <= now() AS expired, NULL::text AS merchant
  FROM update_links l
 WHERE l.bucket = $1 AND l.mandate_id = $2 AND l.instrument_id = $3
 ORDER BY l.id DESC
 LIMIT 1;

-- open :one
-- One more form; none is left where this finds nothing.
UPDATE update_links SET opened = opened + 1
 WHERE bucket = $1 AND id = $2 AND opened < 50 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
RETURNING id;

-- try :one
-- ($3 the card, $4 the one before) Compare-and-set: of two cards at once one is tried.
UPDATE update_links SET instrument_id = $3, tries = tries + 1
 WHERE bucket = $1 AND id = $2 AND instrument_id IS NOT DISTINCT FROM $4 AND tries < 5 AND used_at IS NULL
   AND revoked_at IS NULL AND expires_at > now()
RETURNING id;

-- revoke :one
UPDATE update_links SET revoked_at = now()
 WHERE bucket = $1 AND id = $2 AND used_at IS NULL AND revoked_at IS NULL
RETURNING id;
