-- Roles belong to the server, not to the database; the migration runner keeps them, before any migration.
-- owner owns the tables and cannot log in; app serves traffic; reader looks. A login role is granted one of them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['scrooge_owner', 'scrooge_app', 'scrooge_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- Another database of the same server was migrated at this moment.
            END;
        END IF;
        IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', name);
        END IF;
    END LOOP;
END $$;
GRANT USAGE, CREATE ON SCHEMA public TO scrooge_owner;
GRANT USAGE ON SCHEMA public TO scrooge_app, scrooge_reader;
