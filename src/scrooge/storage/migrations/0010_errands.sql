-- What has to be done at PSPs and at the vault that moves no money, and must not be forgotten: deleting the credentials of
-- an instrument that is gone, telling the vault a new expiry. `bucket` is the instrument's.

CREATE TABLE errands (
    bucket                smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id                    uuid NOT NULL,
    merchant_id           uuid NOT NULL,
    livemode              boolean NOT NULL,
    instrument_id         uuid NOT NULL,
    kind                  text NOT NULL CHECK (kind IN ('forget_vault_card', 'forget_psp_token', 'renew_vault_card')),
    connector_account_id  uuid,
    psp_token             text,  -- until it is done
    psp_customer          text,
    exp                   text,
    state                 text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'parked', 'done')),
    tries                 integer NOT NULL DEFAULT 0,
    due_at                timestamptz NOT NULL DEFAULT now(),
    note                  text,
    created_at            timestamptz NOT NULL DEFAULT now(),
    ended_at              timestamptz,
    PRIMARY KEY (bucket, id),
    CHECK ((state = 'done') = (ended_at IS NOT NULL)),
    CHECK (state <> 'done' OR psp_token IS NULL)
);
CREATE INDEX errands_due ON errands (due_at) WHERE state <> 'done';
GRANT SELECT, INSERT, UPDATE ON errands TO scrooge_app;
GRANT SELECT (
    bucket, id, merchant_id, livemode, instrument_id, kind, connector_account_id, exp, state, tries, due_at, note,
    created_at, ended_at
) ON errands TO scrooge_reader;
-- squawk-ignore require-concurrent-index-creation -- migrations run in a transaction; credentials are few as yet
CREATE INDEX credentials_at_psp ON credentials (connector_account_id, psp_token);
