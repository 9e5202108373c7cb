-- What payers agreed to: later payments without them, with one instrument, for a use, up to an amount.

-- A mandate is its consent's number under another prefix, and in its bucket: a payment (or a verification) makes at most
-- one. Its row is written when the approval is learned from, so none is of a payment that was declined.
CREATE TABLE mandates (
    bucket                  smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id                      uuid NOT NULL,
    merchant_id             uuid NOT NULL,
    livemode                boolean NOT NULL,
    caller_id               uuid NOT NULL,
    customer                text NOT NULL,
    instrument_id           uuid NOT NULL,
    use                     text NOT NULL CHECK (use IN ('recurring', 'unscheduled', 'instalment')),
    status                  text NOT NULL CHECK (status IN ('pending', 'active', 'revoked')),
    max_minor               bigint CHECK (max_minor > 0),  -- of each payment; null: none was agreed
    currency                char(3),
    period                  text CHECK (period IN ('day', 'week', 'month', 'quarter', 'year')),
    description             text,
    connector_account_id    uuid,  -- where the consent was given
    network_transaction_id  text,  -- the scheme's name of that payment
    consent_at              timestamptz NOT NULL,
    revoked_at              timestamptz,
    revoked_because         text,
    revoked_by              text CHECK (revoked_by IN ('merchant', 'customer', 'issuer', 'psp')),
    version                 integer NOT NULL DEFAULT 1,
    written_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, id),
    CHECK ((max_minor IS NULL) = (currency IS NULL)),
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_because IS NULL) AND (revoked_at IS NULL) = (revoked_by IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX mandates_of_customer ON mandates (merchant_id, customer, livemode, id);
CREATE INDEX mandates_of_instrument ON mandates (instrument_id) WHERE status <> 'revoked';

-- What was agreed never changes, and what was withdrawn stays so.
CREATE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, id, merchant_id, livemode, caller_id, customer, instrument_id, use, max_minor,
        currency, period, description, connector_account_id, network_transaction_id, consent_at, written_at ON mandates
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER revoked_for_ever BEFORE UPDATE ON mandates
    FOR EACH ROW WHEN (OLD.status = 'revoked') EXECUTE FUNCTION refuse_change();

-- The payments whose mandate is not active, not this merchant's or not of this mode. The others' rows are locked, in
-- order, until the transaction ends: a revocation is before all of it or after it.
CREATE FUNCTION without_mandate(wanted jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    w record;
BEGIN
    FOR w IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               payment_id uuid, mandate_bucket smallint, mandate_id uuid, merchant_id uuid, livemode boolean)
         ORDER BY x.mandate_bucket, x.mandate_id
    LOOP
        PERFORM m.id
           FROM mandates m
          WHERE m.bucket = w.mandate_bucket AND m.id = w.mandate_id AND m.status = 'active'
            AND m.merchant_id = w.merchant_id AND m.livemode = w.livemode
            FOR SHARE;
        IF NOT FOUND THEN
            RETURN NEXT w.payment_id;
        END IF;
    END LOOP;
END $$;

-- Withdraws each, with the event of it, unless somebody has; returns those that it withdrew.
CREATE FUNCTION revoke_mandates(wanted jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    w record;
    m mandates%ROWTYPE;
BEGIN
    FOR w IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               mandate_bucket smallint, mandate_id uuid, because text, who text, event_id uuid, content jsonb)
         ORDER BY x.mandate_bucket, x.mandate_id
    LOOP
        UPDATE mandates
           SET status = 'revoked', revoked_at = now(), revoked_because = w.because, revoked_by = w.who,
               version = version + 1
         WHERE bucket = w.mandate_bucket AND id = w.mandate_id AND status <> 'revoked'
        RETURNING * INTO m;
        IF FOUND THEN
            INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
            VALUES (m.bucket, m.id, w.event_id, m.merchant_id, m.livemode, m.id, 'mandate_revoked', m.version, w.content);
            RETURN NEXT m.id;
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION without_mandate(jsonb), revoke_mandates(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION without_mandate(jsonb), revoke_mandates(jsonb) TO scrooge_app;

-- Nobody who serves traffic changes a row but by those.
GRANT SELECT, INSERT ON mandates TO scrooge_app;
GRANT SELECT ON mandates TO scrooge_reader;

-- What a payer agrees to with a payment, and the mandate under which a merchant's is made.
ALTER TABLE payments ADD COLUMN save_terms jsonb;
ALTER TABLE payments ADD COLUMN mandate_id uuid;
ALTER TABLE payments ADD COLUMN mandate_use text;
-- squawk-ignore ban-drop-constraint -- its successor is the next statement, and takes all that it took
ALTER TABLE payments DROP CONSTRAINT saved_for_something;
ALTER TABLE payments ADD CONSTRAINT saved_for_something
    CHECK (save_for IN ('subscription', 'on_demand', 'recurring', 'unscheduled', 'instalment')) NOT VALID;
