-- Imports and exports of cards: looked at first, how far they have come, and which card became which.

CREATE TABLE transfers (
    id             uuid PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('import', 'export')),
    merchant_id    uuid NOT NULL,
    livemode       boolean NOT NULL,
    state          text NOT NULL CHECK (state IN ('looked_at', 'requested', 'approved', 'running', 'done')),
    digest         bytea NOT NULL CHECK (length(digest) = 32),  -- of what the dry run saw: the file, or the cards chosen
    customer       text,  -- of exports: only this one's cards
    recipient      text,  -- of exports
    until          timestamptz,  -- of exports: cards made later are not in it
    report         text NOT NULL,  -- JSON: what the dry run found
    looked_at_by   text NOT NULL,
    looked_at      timestamptz NOT NULL DEFAULT now(),
    requested_by   text,
    requested_at   timestamptz,
    approved_by    text,
    approved_at    timestamptz,
    finished_at    timestamptz,
    file_digest    bytea CHECK (length(file_digest) = 32),
    CONSTRAINT approved_by_another CHECK (approved_by <> requested_by),
    CONSTRAINT export_names_its_recipient CHECK ((kind = 'export') = (recipient IS NOT NULL)),
    CONSTRAINT export_is_approved
        CHECK (kind = 'import' OR state IN ('looked_at', 'requested') OR approved_by IS NOT NULL)
);
CREATE UNIQUE INDEX one_import_of_a_file ON transfers (merchant_id, livemode, digest) WHERE kind = 'import';
CREATE INDEX transfers_of_a_merchant ON transfers (merchant_id, looked_at);

-- What is done of each: a chunk, its cards and its audit are written together.
CREATE TABLE transfer_chunks (
    transfer_id   uuid NOT NULL REFERENCES transfers,
    chunk         integer NOT NULL CHECK (chunk >= 0),
    cards         integer NOT NULL CHECK (cards >= 0),
    counts        text NOT NULL,  -- JSON: cards by what became of them, and the first lines that were refused
    frame_digest  bytea CHECK (length(frame_digest) = 32),  -- of exports, as are the next two: the last card in it
    to_bucket     smallint,
    to_id         uuid,
    is_last       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (transfer_id, chunk)
);

-- Which instrument each imported card is here. No card data.
CREATE TABLE transfer_cards (
    transfer_id  uuid NOT NULL REFERENCES transfers,
    source_id    text NOT NULL,
    bucket       smallint NOT NULL,
    card_id      uuid NOT NULL,
    is_new       boolean NOT NULL,
    PRIMARY KEY (transfer_id, source_id)
);

-- Of the payment that began it all, where an import knew it: what the schemes ask for when the payer is not there.
ALTER TABLE cards ADD COLUMN network_transaction_id text;
-- squawk-ignore require-concurrent-index-creation -- no version that keeps cards has been released yet
CREATE INDEX cards_by_fingerprint ON cards (bucket, fingerprint) WHERE sealed IS NOT NULL;

GRANT SELECT, INSERT ON transfers, transfer_chunks, transfer_cards TO scrooge_vault;
GRANT UPDATE (state, digest, report, looked_at_by, looked_at, requested_by, requested_at, approved_by, approved_at,
              finished_at, file_digest) ON transfers TO scrooge_vault;
GRANT UPDATE (cards, counts, frame_digest, to_bucket, to_id, is_last), DELETE ON transfer_chunks TO scrooge_vault;
