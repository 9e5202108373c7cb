-- server :one
SELECT current_setting('server_version_num')::integer AS version, current_setting('fsync') = 'on' AS fsync,
       current_setting('full_page_writes') = 'on' AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS replica,
       extract(epoch FROM clock_timestamp())::float8 AS at,
       current_setting('synchronous_standby_names') <> '' AS standby_wanted,
       -- Without the rights of pg_monitor the states of others are null, and nothing can be said.
       CASE WHEN pg_has_role('pg_monitor', 'USAGE')
            THEN (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) END AS standbys;

-- work :one
-- What should have been done by now and was not, and what somebody has to look at.
SELECT (SELECT count(*) FROM attempts WHERE ask_at < now() - interval '2 minutes') AS overdue,
       (SELECT count(*) FROM inbox WHERE state = 'unread' AND due_at < now() - interval '2 minutes') AS unread,
       (SELECT count(*) FROM breaks WHERE closed_at IS NULL) AS breaks,
       (SELECT count(*) FROM errands WHERE state = 'parked') AS errands_parked,
       (SELECT count(*) FROM connector_accounts) AS accounts,
       (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL) AS keys,
       to_regclass('payments' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', '_YYYY_MM')) IS NOT NULL
           AS next_month;

-- activity :one
-- ($1: since when) What a run of payments did.
SELECT (SELECT count(*) FROM attempts WHERE sent_at >= $1) AS attempts,
       (SELECT count(*) FROM attempts WHERE state IN ('sent', 'unknown', 'pending')) AS open,
       (SELECT count(*) FROM inbox WHERE received_at >= $1) AS notifications,
       (SELECT count(*) FROM inbox WHERE state = 'unread') AS unread;

-- waiting :one
-- What is still to be done, whatever the size of the tables: by the indexes that the worker takes it from.
SELECT (SELECT count(*) FROM attempts
         WHERE ask_at IS NOT NULL AND state IN ('sent', 'unknown', 'pending', 'reversing')) AS open,
       (SELECT count(*) FROM inbox WHERE state = 'unread') AS unread;

-- statuses :many
SELECT status, count(*) AS payments FROM payments WHERE created_at >= $1 GROUP BY status ORDER BY 2 DESC, 1;
