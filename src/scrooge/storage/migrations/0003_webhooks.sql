-- Outgoing webhooks: where merchants want events told, and what became of each telling. `bucket` is the endpoint's,
-- so that an endpoint, its deliveries and its replays stay together when the tables are distributed.

CREATE TABLE webhook_endpoints (
    bucket           smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id               uuid NOT NULL,
    merchant_id      uuid NOT NULL REFERENCES merchants,
    livemode         boolean NOT NULL,
    url              text NOT NULL CHECK (length(url) <= 1024),
    events           text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 50),
    description      text NOT NULL DEFAULT '',
    secrets          text NOT NULL,  -- sealed: the current one, and the previous one until `previous_until`
    previous_until   timestamptz,
    enabled          boolean NOT NULL DEFAULT true,
    disabled_reason  text CHECK (disabled_reason IN ('merchant', 'gone', 'failing')),
    failing_since    timestamptz,  -- the first failure after the last success
    -- How far the feed has been read for it, in the feed's own order.
    cursor_xid       xid8 NOT NULL,
    cursor_id        uuid NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    PRIMARY KEY (bucket, id),
    CHECK (enabled = (disabled_reason IS NULL))
);
CREATE INDEX webhook_endpoints_of_merchant ON webhook_endpoints (merchant_id, livemode, id) WHERE deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    bucket          smallint NOT NULL,
    id              uuid NOT NULL,
    endpoint_id     uuid NOT NULL,
    event_id        uuid NOT NULL,  -- the `webhook-id` of every try
    payment_id      uuid,  -- with the event's id, where the event is; none for a test
    type            text NOT NULL,
    origin          text NOT NULL CHECK (origin IN ('feed', 'replay', 'test')),
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    tries           integer NOT NULL DEFAULT 0,  -- since it was made, or retried by hand
    due_at          timestamptz NOT NULL DEFAULT now(),
    tried_at        timestamptz,
    status          smallint,  -- of the last try's HTTP answer
    error           text,
    reply           text,
    milliseconds    integer,
    created_at      timestamptz NOT NULL DEFAULT now(),
    delivered_at    timestamptz,
    PRIMARY KEY (bucket, id),
    FOREIGN KEY (bucket, endpoint_id) REFERENCES webhook_endpoints (bucket, id),
    CHECK ((payment_id IS NULL) = (origin = 'test'))
);
-- From the feed each event comes to an endpoint once, whatever workers do.
CREATE UNIQUE INDEX webhook_once ON webhook_deliveries (bucket, endpoint_id, event_id) WHERE origin = 'feed';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (bucket, endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (bucket, endpoint_id, state, id);

CREATE TABLE webhook_replays (
    bucket       smallint NOT NULL,
    id           uuid NOT NULL,
    endpoint_id  uuid NOT NULL,
    from_at      timestamptz NOT NULL,
    to_at        timestamptz NOT NULL,
    from_id      uuid NOT NULL,
    to_id        uuid NOT NULL,
    cursor_xid   xid8 NOT NULL,
    cursor_id    uuid NOT NULL,
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done')),
    made         integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    done_at      timestamptz,
    PRIMARY KEY (bucket, id),
    FOREIGN KEY (bucket, endpoint_id) REFERENCES webhook_endpoints (bucket, id)
);
CREATE UNIQUE INDEX one_replay ON webhook_replays (bucket, endpoint_id) WHERE state = 'running';

GRANT SELECT, INSERT, UPDATE ON webhook_endpoints, webhook_deliveries, webhook_replays TO scrooge_app;
-- Deliveries that were taken go after a month: the events stay, and can be replayed.
GRANT DELETE ON webhook_deliveries TO scrooge_app;
-- Not the secrets, nor URLs, which may hold one of the merchant's.
GRANT SELECT (
    bucket, id, merchant_id, livemode, events, description, previous_until, enabled, disabled_reason, failing_since,
    cursor_xid, cursor_id, created_at, deleted_at
) ON webhook_endpoints TO scrooge_reader;
GRANT SELECT ON webhook_replays TO scrooge_reader;
GRANT SELECT (
    bucket, id, endpoint_id, event_id, payment_id, type, origin, state, tries, due_at, tried_at, status, error,
    milliseconds, created_at, delivered_at
) ON webhook_deliveries TO scrooge_reader;
