-- Codes of declines that no table maps, for somebody to map. Codes only: a PSP's words stay with the attempt.
CREATE TABLE unmapped_declines (
    merchant_id   uuid NOT NULL,
    livemode      boolean NOT NULL,
    connector     text NOT NULL,
    code          text NOT NULL CHECK (length(code) <= 64),
    network_code  text NOT NULL CHECK (length(network_code) <= 64),
    brand         text NOT NULL,
    declines      bigint NOT NULL,
    first_seen    timestamptz NOT NULL DEFAULT now(),
    last_seen     timestamptz NOT NULL DEFAULT now(),
    payment_id    uuid NOT NULL,  -- the latest of them
    PRIMARY KEY (merchant_id, livemode, connector, code, network_code, brand)
);
GRANT SELECT, INSERT ON unmapped_declines TO scrooge_app;
GRANT UPDATE (declines, last_seen, payment_id) ON unmapped_declines TO scrooge_app;
GRANT SELECT ON unmapped_declines TO scrooge_reader;
