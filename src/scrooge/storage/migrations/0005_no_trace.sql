-- When it was first seen that a PSP answers an attempt's key with a stored failure: whatever the key did was over by then.
-- Only from then on it counts how long the PSP has no trace of it.
ALTER TABLE attempts ADD COLUMN stored_at timestamptz;
GRANT SELECT (stored_at) ON attempts TO scrooge_reader;
