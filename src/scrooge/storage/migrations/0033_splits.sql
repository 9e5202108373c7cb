-- Payments that are paid with several instruments: a payment of parts, each of which is a payment.

ALTER TABLE payments ADD COLUMN part_of uuid;  -- the payment that this one is a part of
ALTER TABLE payments ADD COLUMN tenders smallint;  -- of a payment of parts: how many it has

-- What a payment of parts has beside its row in payments: whose parts it is made of, and how far that has come.
CREATE TABLE splits (
    bucket        smallint NOT NULL,
    payment_id    uuid NOT NULL,
    merchant_id   uuid NOT NULL,
    tenders       jsonb NOT NULL,  -- in order: the part's payment, its instrument, its amount
    closing       jsonb,  -- why all of it is taken back, once that is decided; for good
    told          text[] NOT NULL DEFAULT '{}',  -- events of the whole
    news          integer NOT NULL DEFAULT 0,  -- how often one of its parts has changed
    look_at       timestamptz,  -- when it is somebody's turn to go on with it; null: not before there is news
    leased_until  timestamptz,
    looks         integer NOT NULL DEFAULT 0,  -- that could do nothing, since the last that could
    PRIMARY KEY (bucket, payment_id),
    CHECK (jsonb_array_length(tenders) >= 2)
);
CREATE INDEX splits_due ON splits (look_at) WHERE look_at IS NOT NULL;

-- What was asked of a payment of parts, and how it is shared out: decided once, before any part is asked.
CREATE TABLE split_orders (
    bucket      smallint NOT NULL,
    payment_id  uuid NOT NULL,
    id          uuid NOT NULL,
    operation   text NOT NULL CHECK (operation IN ('capture', 'void', 'refund')),
    minor       bigint NOT NULL CHECK (minor > 0),
    reference   text,
    final       boolean NOT NULL,
    shares      jsonb NOT NULL,  -- in the order they are asked: the tender, the operation, the amount
    refused     jsonb NOT NULL DEFAULT '{}',  -- by place of the share: why its part was not asked at all
    ended       text CHECK (ended IN ('succeeded', 'declined', 'failed')),
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (bucket, payment_id, id),
    FOREIGN KEY (bucket, payment_id) REFERENCES splits (bucket, payment_id)
);
CREATE UNIQUE INDEX split_orders_reference ON split_orders (bucket, payment_id, operation, reference);

CREATE FUNCTION split_is_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'how a payment is split is decided once' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER decided_once BEFORE DELETE OR UPDATE OF bucket, payment_id, merchant_id, tenders ON splits
    FOR EACH ROW EXECUTE FUNCTION split_is_decided_once();
CREATE TRIGGER closes_once BEFORE UPDATE OF closing ON splits
    FOR EACH ROW WHEN (OLD.closing IS NOT NULL AND NEW.closing IS DISTINCT FROM OLD.closing)
    EXECUTE FUNCTION split_is_decided_once();
CREATE TRIGGER decided_once
    BEFORE DELETE OR UPDATE OF bucket, payment_id, id, operation, minor, reference, final, shares, created_at
    ON split_orders FOR EACH ROW EXECUTE FUNCTION split_is_decided_once();

-- In the commit that changes a part, so that no news is ever without somebody whose turn it is.
CREATE FUNCTION news_of_a_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE splits SET news = news + 1, look_at = now(), looks = 0
     WHERE bucket = NEW.bucket AND payment_id = NEW.part_of;
    RETURN NULL;
END $$;
CREATE TRIGGER news_of_a_part AFTER UPDATE ON payments
    FOR EACH ROW WHEN (NEW.part_of IS NOT NULL) EXECUTE FUNCTION news_of_a_part();

GRANT SELECT, INSERT ON splits, split_orders TO scrooge_app;
GRANT UPDATE (closing, told, news, look_at, leased_until, looks) ON splits TO scrooge_app;
GRANT UPDATE (refused, ended) ON split_orders TO scrooge_app;
GRANT SELECT ON splits, split_orders TO scrooge_reader;
