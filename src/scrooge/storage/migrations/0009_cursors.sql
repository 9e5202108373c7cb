-- How far the core has read what others tell in order: the vault's changes of cards.

CREATE TABLE cursors (
    name      text PRIMARY KEY,
    position  text NOT NULL,
    moved_at  timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON cursors TO scrooge_app;
GRANT SELECT ON cursors TO scrooge_reader;
