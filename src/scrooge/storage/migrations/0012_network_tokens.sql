-- What stands for a card at its scheme. The token's number is never here: it is asked of the provider for each payment.

CREATE TABLE network_tokens (
    bucket                smallint NOT NULL,
    instrument_id         uuid NOT NULL,
    connector_account_id  uuid NOT NULL REFERENCES connector_accounts,  -- the token provider
    token                 text,  -- the provider's name for it; none before there is one
    status                text NOT NULL CHECK (status IN ('requested', 'refused', 'active', 'suspended')),
    last4                 text CHECK (last4 ~ '^[0-9]{4}$'),
    exp                   text CHECK (exp ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    seen                  integer NOT NULL DEFAULT 0,  -- how often the provider was asked: no look undoes a later one
    created_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, instrument_id),
    FOREIGN KEY (bucket, instrument_id) REFERENCES instruments (bucket, id),
    CHECK ((token IS NULL) = (status IN ('requested', 'refused')))
);
CREATE INDEX network_tokens_at_provider ON network_tokens (connector_account_id, token);
GRANT SELECT, INSERT, UPDATE, DELETE ON network_tokens TO scrooge_app;
GRANT SELECT (bucket, instrument_id, connector_account_id, status, last4, exp, seen, created_at)
    ON network_tokens TO scrooge_reader;

-- squawk-ignore ban-drop-constraint -- its successor is the next statement, and takes all that it took
ALTER TABLE errands DROP CONSTRAINT errands_kind_check;
ALTER TABLE errands ADD CONSTRAINT errands_kind_check CHECK (kind IN (
    'forget_vault_card', 'forget_psp_token', 'renew_vault_card', 'keep_psp_token', 'read_psp_token',
    'make_network_token', 'read_network_token', 'forget_network_token')) NOT VALID;
-- squawk-ignore constraint-missing-not-valid -- errands are few as yet
ALTER TABLE errands VALIDATE CONSTRAINT errands_kind_check;
