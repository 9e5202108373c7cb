-- A break that is about no connector account, as a webhook endpoint's, is of one mode too. Null: of both, as before.
ALTER TABLE breaks ADD COLUMN livemode boolean;
