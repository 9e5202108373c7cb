-- Routing as people write it: policies, prices and switches, with every version kept. No payment waits for these tables:
-- processes hold them in memory, and look twice a second whether the epoch has moved.

CREATE TABLE routing_epoch (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    epoch   bigint NOT NULL  -- whoever changes anything below raises it first, so that changes come one after the other
);
INSERT INTO routing_epoch (epoch) VALUES (0);

CREATE TABLE routing_policies (
    id           uuid PRIMARY KEY,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    caller_id    uuid REFERENCES callers,  -- whose payments it is for; none, everybody's
    version      integer NOT NULL CHECK (version > 0),
    name         text NOT NULL,
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of the document
    document     jsonb NOT NULL,
    author       text NOT NULL,
    notes        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (merchant_id, livemode, caller_id, version),
    UNIQUE NULLS NOT DISTINCT (merchant_id, livemode, caller_id, digest)
);
CREATE INDEX routing_policies_newest ON routing_policies (merchant_id, livemode, id);

-- The policy of the highest number counts: what is active is not kept anywhere else, so history cannot say otherwise.
CREATE TABLE routing_activations (
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    caller_id    uuid REFERENCES callers,
    number       integer NOT NULL CHECK (number > 0),
    policy_id    uuid REFERENCES routing_policies,  -- none: payments go as if there were no policy
    previous_id  uuid REFERENCES routing_policies,
    kind         text NOT NULL CHECK (kind IN ('activation', 'rollback')),
    author       text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (merchant_id, livemode, caller_id, number)
);
CREATE INDEX routing_activations_of_policy ON routing_activations (policy_id, number);

-- The newest version counts; which days its prices are for stands in the document.
CREATE TABLE routing_tariffs (
    id           uuid PRIMARY KEY,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    digest       bytea NOT NULL CHECK (length(digest) = 32),
    document     jsonb NOT NULL,
    author       text NOT NULL,
    notes        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (merchant_id, livemode, version)
);

-- What somebody has switched by hand: new authorizations only. Captures, voids, refunds and questions never ask.
CREATE TABLE routing_switches (
    id                    uuid PRIMARY KEY,
    merchant_id           uuid NOT NULL REFERENCES merchants,
    livemode              boolean NOT NULL,
    connector_account_id  uuid NOT NULL REFERENCES connector_accounts,
    state                 text NOT NULL CHECK (state IN ('on', 'drain', 'off')),
    condition             jsonb NOT NULL DEFAULT '{}',  -- which payments; empty, all
    reason                text NOT NULL,
    expires_at            timestamptz,
    author                text NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    ended_at              timestamptz,
    ended_by              text,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX routing_switches_live ON routing_switches (merchant_id, livemode, id) WHERE ended_at IS NULL;
CREATE INDEX routing_switches_newest ON routing_switches (merchant_id, livemode, id);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON routing_policies
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON routing_activations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON routing_tariffs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON routing_policies, routing_activations, routing_tariffs, routing_switches TO scrooge_app;
GRANT SELECT ON routing_epoch TO scrooge_app;
GRANT UPDATE (epoch) ON routing_epoch TO scrooge_app;
GRANT UPDATE (ended_at, ended_by) ON routing_switches TO scrooge_app;
GRANT SELECT ON routing_epoch, routing_policies, routing_activations, routing_tariffs, routing_switches
    TO scrooge_reader;
