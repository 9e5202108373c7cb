-- server :one
SELECT current_setting('log_statement') AS log_statement,
       current_setting('log_min_duration_statement')::bigint >= 0
           OR (current_setting('log_min_duration_sample')::bigint >= 0
               AND current_setting('log_statement_sample_rate')::float > 0)
           OR current_setting('log_transaction_sample_rate')::float > 0 AS logs_slow,
       current_setting('log_parameter_max_length')::int AS parameter_bytes,
       current_setting('log_parameter_max_length_on_error')::int AS parameter_bytes_on_error,
       coalesce(nullif(current_setting('auto_explain.log_parameter_max_length', true), ''), '0')::int
           AS explained_parameter_bytes,
       (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS superuser,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
       inet_server_addr() IS NULL AS on_a_socket,
       (SELECT system_identifier FROM pg_control_system())::text AS identifier,
       session_user::text AS login,
       current_database()::text AS database,
       extract(epoch FROM clock_timestamp())::float AS at;

-- may_enter :one
SELECT has_database_privilege(oid, current_database(), 'CONNECT') AS may FROM pg_roles WHERE rolname = $1;

-- vault :one
SELECT (SELECT relpersistence = 'u' FROM pg_class WHERE oid = 'security_codes'::regclass) AS codes_unlogged,
       (SELECT count(*) FROM security_codes WHERE expires_at < now() - interval '2 minutes') AS codes_late,
       (SELECT count(*) FROM cards WHERE sealed IS NOT NULL AND exp < $2) AS cards_late,
       has_table_privilege($1, 'audit', 'UPDATE, DELETE, TRUNCATE') AS may_change_audit,
       has_table_privilege($1, 'cards', 'DELETE, TRUNCATE') AS may_delete_cards,
       (SELECT count(*) FROM vault_keys WHERE revoked_at IS NULL AND created_at < now() - interval '365 days')
           AS keys_old,
       (SELECT count(*) FROM vault_keys WHERE revoked_at IS NULL AND livemode) AS keys_live,
       (SELECT count(*) FROM cards WHERE livemode AND sealed IS NOT NULL) AS cards_live;
