-- What each account has approved in a period, for the limits and commitments of contracts; and which account approved a
-- stored credential last, so that its next payment goes there. Both are written a little later, beside the payments.

CREATE TABLE routing_volumes (
    merchant_id           uuid NOT NULL,
    livemode              boolean NOT NULL,
    connector_account_id  uuid NOT NULL,
    currency              char(3) NOT NULL,
    period                text NOT NULL,  -- 2026-11-22, 2026-11, 2026-Q4, 2026: in UTC
    minor                 bigint NOT NULL CHECK (minor >= 0),
    changed_at            timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, livemode, connector_account_id, currency, period)
) WITH (fillfactor = 60);
CREATE INDEX routing_volumes_period ON routing_volumes (period);
GRANT SELECT, INSERT, UPDATE ON routing_volumes TO scrooge_app;
GRANT SELECT ON routing_volumes TO scrooge_reader;

ALTER TABLE instruments ADD COLUMN approved_by uuid;  -- a connector account
