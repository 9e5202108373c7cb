-- Lines of a batch whose references were used before, as its validation found them: so that this is known before anything
-- is sent. The payment there was is noted with the line as it comes in, and never changes; how many there are, with its
-- piece, so that they are found again without an index, and with the batch. What is recorded decides all the same.
ALTER TABLE batch_lines ADD COLUMN found_id uuid;
ALTER TABLE batch_pieces ADD COLUMN found integer NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN found integer NOT NULL DEFAULT 0;
GRANT UPDATE (found) ON batches TO scrooge_app;
