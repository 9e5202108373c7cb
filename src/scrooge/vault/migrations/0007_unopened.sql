-- Cards that a re-encryption could not open stay under their old key, and are told of until somebody has looked.

ALTER TABLE cards ADD COLUMN unopened_at timestamptz;
-- squawk-ignore require-concurrent-index-creation -- migrations run in a transaction, and this index begins empty
CREATE INDEX cards_unopened ON cards (unopened_at) WHERE unopened_at IS NOT NULL AND sealed IS NOT NULL;
GRANT UPDATE (unopened_at) ON cards TO scrooge_vault;
