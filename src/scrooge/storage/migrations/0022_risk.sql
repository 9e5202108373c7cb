-- The check before a payment: policies as people write them, and what processes tell each other of what they saw.
-- No payment waits for these tables: as with routing (0013), whose epoch moves with every change here, too.

CREATE TABLE risk_policies (
    id           uuid PRIMARY KEY,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    name         text NOT NULL,
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of the document
    document     jsonb NOT NULL,
    author       text NOT NULL,
    notes        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (merchant_id, livemode, version),
    UNIQUE (merchant_id, livemode, digest)
);
CREATE INDEX risk_policies_newest ON risk_policies (merchant_id, livemode, id);

-- The policy of the highest number counts.
CREATE TABLE risk_activations (
    merchant_id  uuid NOT NULL REFERENCES merchants,
    livemode     boolean NOT NULL,
    number       integer NOT NULL CHECK (number > 0),
    policy_id    uuid REFERENCES risk_policies,  -- none: nothing is checked
    previous_id  uuid REFERENCES risk_policies,
    kind         text NOT NULL CHECK (kind IN ('activation', 'rollback')),
    author       text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, livemode, number)
);
CREATE INDEX risk_activations_of_policy ON risk_activations (policy_id, number);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON risk_policies FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON risk_activations FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What one process saw in a second: attempts and declines with the digests of their facts (src/scrooge/risk/recent.py).
CREATE TABLE risk_sightings (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process     uuid NOT NULL,
    seen        jsonb NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX risk_sightings_latest ON risk_sightings (written_at);

-- No rule looks back further than a day. The role that serves traffic may forget what is older, and nothing else.
CREATE FUNCTION forget_risk_sightings(most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT id FROM risk_sightings
         WHERE written_at < now() - interval '25 hours'
         ORDER BY written_at
         LIMIT most
           FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM risk_sightings s USING old WHERE s.id = old.id RETURNING s.id
    )
    SELECT count(*)::integer FROM gone
$$;
REVOKE ALL ON FUNCTION forget_risk_sightings(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_risk_sightings(integer) TO scrooge_app;

GRANT SELECT, INSERT ON risk_policies, risk_activations, risk_sightings TO scrooge_app;
GRANT SELECT ON risk_policies, risk_activations TO scrooge_reader;
