-- What the vault's keys are, and their wrapped material.

-- turn :none
-- One act on keys at a time, whoever begins it; until the transaction ends.
SELECT pg_advisory_xact_lock(x'5C007E75'::bigint);

-- moment :one
SELECT now() AS at;

-- versions :many
SELECT v.key_id, v.purpose, v.livemode, v.version, v.state, v.created_at, v.not_after, v.active_at, v.retired_at,
       v.destroyed_at, v.compromised, v.mac, k.kek_id, k.wrapped
  FROM key_versions v
  LEFT JOIN keysets k USING (key_id)
 ORDER BY v.livemode, v.purpose, v.version;

-- add_version :none
INSERT INTO key_versions (key_id, purpose, livemode, version, state, created_at, not_after, active_at, retired_at,
                          destroyed_at, compromised, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- keep_version :none
UPDATE key_versions
   SET state = $2, active_at = $3, retired_at = $4, destroyed_at = $5, compromised = $6, mac = $7
 WHERE key_id = $1;

-- add_keyset :none
INSERT INTO keysets (key_id, livemode, kek_id, wrapped) VALUES ($1, $2, $3, $4);

-- rewrap :none
UPDATE keysets SET kek_id = $2, wrapped = $3 WHERE key_id = $1;

-- lock_keyset :one
-- Nobody can seal a card under it from here on, for that would look at this row too.
SELECT key_id FROM keysets WHERE key_id = $1 FOR UPDATE;

-- destroy :none
DELETE FROM keysets WHERE key_id = $1;

-- needed :one
-- Whether any card needs the key; counting them all would take longer.
SELECT EXISTS (SELECT FROM cards WHERE livemode = $1 AND key_id = $2 AND sealed IS NOT NULL)
    OR EXISTS (SELECT FROM cards WHERE livemode = $1 AND fingerprint_key = $2 AND sealed IS NOT NULL) AS needed;

-- counted :many
SELECT key_id, count(*) AS cards FROM (
    SELECT key_id FROM cards WHERE sealed IS NOT NULL
    UNION ALL
    SELECT fingerprint_key FROM cards WHERE sealed IS NOT NULL) AS uses
 GROUP BY key_id;

-- unopened :one
SELECT count(*) AS cards FROM cards WHERE unopened_at IS NOT NULL AND sealed IS NOT NULL;

-- active_kek :one
SELECT id, uri, threshold, salt, check_value, created_at, not_after FROM key_encryption_keys WHERE retired_at IS NULL;

-- keks :many
SELECT id, uri, threshold, salt, check_value, created_at, not_after, retired_at FROM key_encryption_keys ORDER BY created_at;

-- add_kek :none
INSERT INTO key_encryption_keys (id, uri, threshold, salt, check_value, created_at, not_after)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- retire_kek :none
UPDATE key_encryption_keys SET retired_at = $2 WHERE id = $1;

-- add_share :none
INSERT INTO key_shares (kek_id, number, custodian, commitment) VALUES ($1, $2, $3, $4);

-- shares :many
SELECT number, custodian, commitment, acknowledged_at FROM key_shares WHERE kek_id = $1 ORDER BY number;

-- acknowledge :none
UPDATE key_shares SET acknowledged_at = now() WHERE kek_id = $1 AND number = $2 AND acknowledged_at IS NULL;
