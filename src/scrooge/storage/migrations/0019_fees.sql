-- What attempts cost by their accounts' tariffs: told when they end, posted with the change that ends them.
ALTER TABLE attempts ADD COLUMN fees jsonb;
GRANT SELECT (fees) ON attempts TO scrooge_reader;

-- By which version of the prices a journal's fees were told. No foreign key: a version is never deleted, and each of
-- the payments would hold a lock on it.
ALTER TABLE journals ADD COLUMN tariffs_id uuid;
