-- active :many
SELECT DISTINCT ON (merchant_id, livemode) merchant_id, livemode, policy_id
  FROM risk_activations
 ORDER BY merchant_id, livemode, number DESC;

-- documents :many
SELECT id, document::text AS document FROM risk_policies WHERE id = ANY ($1::uuid[]);

-- draft :one
-- ($1 id, $2 merchant, $3 livemode, $4 name, $5 digest, $6 document, $7 author, $8 notes) Nothing comes back for a
-- document that is there already.
INSERT INTO risk_policies (id, merchant_id, livemode, version, name, digest, document, author, notes)
SELECT $1, $2, $3, coalesce(max(p.version), 0) + 1, $4, $5, $6::jsonb, $7, $8
  FROM risk_policies p
 WHERE p.merchant_id = $2 AND p.livemode = $3
    ON CONFLICT (merchant_id, livemode, digest) DO NOTHING
RETURNING id;

-- same :one
SELECT id FROM risk_policies WHERE merchant_id = $1 AND livemode = $2 AND digest = $3;

-- policies :many
-- ($1 merchant, $2 livemode, $3 one id or null, $4 before this id or null, $5 rows) Newest first.
SELECT p.id, p.version, p.name, p.document::text AS document, p.author, p.notes, p.created_at,
       last.created_at AS activated_at, active.policy_id = p.id AS active
  FROM risk_policies p
  LEFT JOIN LATERAL (
       SELECT a.policy_id FROM risk_activations a
        WHERE a.merchant_id = p.merchant_id AND a.livemode = p.livemode
        ORDER BY a.number DESC LIMIT 1) active ON true
  LEFT JOIN LATERAL (
       SELECT a.created_at FROM risk_activations a WHERE a.policy_id = p.id ORDER BY a.number DESC LIMIT 1) last ON true
 WHERE p.merchant_id = $1 AND p.livemode = $2
   AND ($3::uuid IS NULL OR p.id = $3) AND ($4::uuid IS NULL OR p.id < $4)
 ORDER BY p.id DESC
 LIMIT $5;

-- latest :one
SELECT policy_id, number FROM risk_activations
 WHERE merchant_id = $1 AND livemode = $2
 ORDER BY number DESC
 LIMIT 1;

-- activate :none
INSERT INTO risk_activations (merchant_id, livemode, number, policy_id, previous_id, kind, author, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- activations :many
-- ($3 rows) Newest first.
SELECT number, policy_id, previous_id, kind, author, reason, created_at
  FROM risk_activations
 WHERE merchant_id = $1 AND livemode = $2
 ORDER BY number DESC
 LIMIT $3;

-- tell :none
-- ($1 process, $2 sightings) One row for a second of one process.
INSERT INTO risk_sightings (process, seen) VALUES ($1, $2::jsonb);

-- told :many
-- ($1 process, $2 since, $3 rows) By others, the latest first; the caller leaves out what it has heard.
SELECT id, seen::text AS seen, written_at
  FROM risk_sightings
 WHERE written_at > $2 AND process <> $1
 ORDER BY written_at DESC
 LIMIT $3;

-- forget :one
SELECT forget_risk_sightings($1) AS gone;
