-- epoch :one
SELECT epoch FROM routing_epoch WHERE single;

-- active :many
SELECT DISTINCT ON (merchant_id, livemode, caller_id) merchant_id, livemode, caller_id, policy_id
  FROM routing_activations
 ORDER BY merchant_id, livemode, caller_id, number DESC;

-- policies :many
SELECT id, document::text AS document FROM routing_policies WHERE id = ANY ($1::uuid[]);

-- tariffs :many
SELECT DISTINCT ON (merchant_id, livemode) merchant_id, livemode, id
  FROM routing_tariffs
 ORDER BY merchant_id, livemode, version DESC;

-- prices :many
SELECT id, document::text AS document FROM routing_tariffs WHERE id = ANY ($1::uuid[]);

-- accounts :many
SELECT merchant_id, livemode, name, id FROM connector_accounts WHERE merchant_id = ANY ($1::uuid[]);

-- switches :many
-- In the order in which they were made: the last that a payment meets counts.
SELECT merchant_id, livemode, connector_account_id, state, condition::text AS condition, reason, expires_at
  FROM routing_switches
 WHERE ended_at IS NULL AND (expires_at IS NULL OR expires_at > now())
 ORDER BY id;
