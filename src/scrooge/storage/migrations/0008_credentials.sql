-- Instruments grow credentials: the card in the vault, and what the schemes call the payment that began it all.

ALTER TABLE instruments ADD COLUMN vault boolean NOT NULL DEFAULT false;  -- its card is in the vault
ALTER TABLE instruments ADD COLUMN fingerprint text;  -- the vault's, keyed: the same card, the same text
ALTER TABLE instruments ADD COLUMN network_transaction_id text;  -- of the first payment that was approved
-- `replaced`: its number is another by now, so the PSPs' tokens, which follow it, are used and the card is not.
ALTER TABLE instruments ADD COLUMN card_status text;
ALTER TABLE instruments ADD CONSTRAINT card_has_a_status
    CHECK (card_status IN ('active', 'expired', 'replaced', 'deleted') AND vault OR card_status IS NULL AND NOT vault)
    NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- both columns are as old as this transaction
ALTER TABLE instruments VALIDATE CONSTRAINT card_has_a_status;

-- Given by the caller, saved when a PSP returned it, or renewed by a PSP's account updater.
ALTER TABLE credentials ADD COLUMN source text NOT NULL DEFAULT 'given';
ALTER TABLE credentials ADD CONSTRAINT credential_has_a_source
    CHECK (source IN ('given', 'saved', 'updated')) NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- the column is as old as this transaction
ALTER TABLE credentials VALIDATE CONSTRAINT credential_has_a_source;
GRANT UPDATE ON credentials TO scrooge_app;
