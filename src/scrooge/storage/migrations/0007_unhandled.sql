-- What nobody could make anything of is counted all the time, and is little among very much.
-- squawk-ignore require-concurrent-index-creation -- migrations run in a transaction, and no release has an inbox yet
CREATE INDEX inbox_unhandled ON inbox (bucket) WHERE state = 'unhandled';
