-- raise_epoch :one
-- First in every change: until its commit no other change goes on, and afterwards every process looks again.
UPDATE routing_epoch SET epoch = epoch + 1 WHERE single RETURNING epoch;

-- draft :one
-- ($1 id, $2 merchant, $3 livemode, $4 caller, $5 name, $6 digest, $7 document, $8 author, $9 notes) Nothing comes back
-- for a document that is there already.
INSERT INTO routing_policies (id, merchant_id, livemode, caller_id, version, name, digest, document, author, notes)
SELECT $1, $2, $3, $4, coalesce(max(p.version), 0) + 1, $5, $6, $7::jsonb, $8, $9
  FROM routing_policies p
 WHERE p.merchant_id = $2 AND p.livemode = $3 AND p.caller_id IS NOT DISTINCT FROM $4::uuid
    ON CONFLICT (merchant_id, livemode, caller_id, digest) DO NOTHING
RETURNING id;

-- same :one
SELECT id FROM routing_policies
 WHERE merchant_id = $1 AND livemode = $2 AND caller_id IS NOT DISTINCT FROM $3::uuid AND digest = $4;

-- policies :many
-- ($1 merchant, $2 livemode, $3 one id or null, $4 before this id or null, $5 rows) Newest first.
SELECT p.id, p.version, p.name, p.document::text AS document, p.author, p.notes, p.created_at, p.caller_id,
       c.name AS caller, last.created_at AS activated_at, active.policy_id = p.id AS active
  FROM routing_policies p
  LEFT JOIN callers c ON c.id = p.caller_id
  LEFT JOIN LATERAL (
       SELECT a.policy_id FROM routing_activations a
        WHERE a.merchant_id = p.merchant_id AND a.livemode = p.livemode
          AND a.caller_id IS NOT DISTINCT FROM p.caller_id
        ORDER BY a.number DESC LIMIT 1) active ON true
  LEFT JOIN LATERAL (
       SELECT a.created_at FROM routing_activations a WHERE a.policy_id = p.id ORDER BY a.number DESC LIMIT 1
       ) last ON true
 WHERE p.merchant_id = $1 AND p.livemode = $2
   AND ($3::uuid IS NULL OR p.id = $3) AND ($4::uuid IS NULL OR p.id < $4)
 ORDER BY p.id DESC
 LIMIT $5;

-- active :one
SELECT policy_id, number FROM routing_activations
 WHERE merchant_id = $1 AND livemode = $2 AND caller_id IS NOT DISTINCT FROM $3::uuid
 ORDER BY number DESC
 LIMIT 1;

-- all_active :many
SELECT DISTINCT ON (caller_id) caller_id, policy_id
  FROM routing_activations
 WHERE merchant_id = $1 AND livemode = $2
 ORDER BY caller_id, number DESC;

-- activate :none
INSERT INTO routing_activations (merchant_id, livemode, caller_id, number, policy_id, previous_id, kind, author, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- activations :many
-- ($3 rows) Newest first.
SELECT a.number, a.policy_id, a.previous_id, a.kind, a.author, a.reason, a.created_at, c.name AS caller
  FROM routing_activations a
  LEFT JOIN callers c ON c.id = a.caller_id
 WHERE a.merchant_id = $1 AND a.livemode = $2
 ORDER BY a.created_at DESC, a.number DESC
 LIMIT $3;

-- add_tariffs :one
INSERT INTO routing_tariffs (id, merchant_id, livemode, version, digest, document, author, notes)
SELECT $1, $2, $3, coalesce(max(t.version), 0) + 1, $4, $5::jsonb, $6, $7
  FROM routing_tariffs t
 WHERE t.merchant_id = $2 AND t.livemode = $3
RETURNING id;

-- tariffs :many
-- ($3 one id or null, $4 before this id or null, $5 rows) Newest first.
SELECT id, version, digest, document::text AS document, author, notes, created_at
  FROM routing_tariffs
 WHERE merchant_id = $1 AND livemode = $2
   AND ($3::uuid IS NULL OR id = $3) AND ($4::uuid IS NULL OR id < $4)
 ORDER BY id DESC
 LIMIT $5;

-- switch :none
INSERT INTO routing_switches (id, merchant_id, livemode, connector_account_id, state, condition, reason, expires_at,
                              author)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9);

-- replaced :many
-- ($3 account, $4 condition, $5 author) Those for the very same payments: the new one counts instead.
UPDATE routing_switches
   SET ended_at = now(), ended_by = $5
 WHERE merchant_id = $1 AND livemode = $2 AND connector_account_id = $3 AND condition = $4::jsonb AND ended_at IS NULL
RETURNING id;

-- switches_counting :one
SELECT count(*) AS several
  FROM routing_switches
 WHERE merchant_id = $1 AND livemode = $2 AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > now());

-- end_switch :one
UPDATE routing_switches
   SET ended_at = now(), ended_by = $4
 WHERE id = $3 AND merchant_id = $1 AND livemode = $2 AND ended_at IS NULL
RETURNING id;

-- switches :many
-- ($3 one id or null, $4 those that count only, $5 before this id or null, $6 rows) Newest first.
SELECT w.id, w.connector_account_id, k.name AS account, w.state, w.condition::text AS condition, w.reason, w.expires_at,
       w.author, w.created_at, w.ended_at, w.ended_by,
       w.ended_at IS NULL AND (w.expires_at IS NULL OR w.expires_at > now()) AS counts
  FROM routing_switches w
  JOIN connector_accounts k ON k.id = w.connector_account_id
 WHERE w.merchant_id = $1 AND w.livemode = $2
   AND ($3::uuid IS NULL OR w.id = $3)
   AND (NOT $4 OR (w.ended_at IS NULL AND (w.expires_at IS NULL OR w.expires_at > now())))
   AND ($5::uuid IS NULL OR w.id < $5)
 ORDER BY w.id DESC
 LIMIT $6;
