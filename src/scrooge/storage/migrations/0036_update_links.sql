-- A payer gives a mandate another card, on a page behind a link.

-- One card, once. Its bucket is the mandate's; of its token a keyed hash is kept.
CREATE TABLE update_links (
    bucket         smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id             uuid NOT NULL,
    merchant_id    uuid NOT NULL,
    livemode       boolean NOT NULL,
    caller_id      uuid NOT NULL,
    mandate_id     uuid NOT NULL,
    payment_id     uuid,  -- which was declined under it
    digest         bytea NOT NULL CHECK (length(digest) = 32),
    return_url     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    opened         smallint NOT NULL DEFAULT 0 CHECK (opened BETWEEN 0 AND 50),  -- forms that were shown
    tries          smallint NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 5),
    instrument_id  uuid,  -- of the card that was tried last
    used_at        timestamptz,
    revoked_at     timestamptz,
    PRIMARY KEY (bucket, id),
    CHECK ((tries = 0) = (instrument_id IS NULL)),
    CHECK (used_at IS NULL OR revoked_at IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX update_links_of_mandate ON update_links (bucket, mandate_id);
CREATE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, id, merchant_id, livemode, caller_id, mandate_id, payment_id, digest, return_url,
        created_at, expires_at ON update_links
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER over_for_ever BEFORE UPDATE ON update_links
    FOR EACH ROW WHEN (OLD.used_at IS NOT NULL OR OLD.revoked_at IS NOT NULL) EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON update_links TO scrooge_app;
GRANT UPDATE (opened, tries, instrument_id, revoked_at) ON update_links TO scrooge_app;
GRANT SELECT ON update_links TO scrooge_reader;

-- The card of a mandate may change, and then what it was is kept.
ALTER TABLE mandates ADD COLUMN earlier jsonb;
CREATE OR REPLACE TRIGGER append_only
    BEFORE DELETE OR UPDATE OF bucket, id, merchant_id, livemode, caller_id, customer, use, max_minor, currency, period,
        description, consent_at, written_at ON mandates
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER earlier_cards_are_kept
    BEFORE UPDATE OF instrument_id, connector_account_id, network_transaction_id, earlier ON mandates
    FOR EACH ROW
    WHEN (NEW.earlier->>-1 IS NULL OR NEW.earlier - -1 IS DISTINCT FROM coalesce(OLD.earlier, '[]'))
    EXECUTE FUNCTION refuse_change();

-- Gives each its new card, with the event of it, where the link that the card came by is good for it still; returns
-- those that have it now. The mandate's row is locked, so a withdrawal is before all of it or after it.
CREATE FUNCTION renew_mandates(wanted jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    w record;
    m mandates%ROWTYPE;
BEGIN
    FOR w IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               mandate_bucket smallint, mandate_id uuid, merchant_id uuid, livemode boolean, customer text,
               instrument_id uuid, connector_account_id uuid, network_transaction_id text, verification_id uuid,
               event_id uuid, content jsonb)
         ORDER BY x.mandate_bucket, x.mandate_id
    LOOP
        SELECT * INTO m
          FROM mandates
         WHERE bucket = w.mandate_bucket AND id = w.mandate_id AND status = 'active' AND merchant_id = w.merchant_id
           AND livemode = w.livemode AND customer = w.customer
           FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        UPDATE update_links
           SET used_at = now()
         WHERE bucket = w.mandate_bucket AND mandate_id = w.mandate_id AND instrument_id = w.instrument_id
           AND used_at IS NULL AND revoked_at IS NULL;
        CONTINUE WHEN NOT FOUND;
        UPDATE mandates
           SET earlier = coalesce(earlier, '[]') || jsonb_build_array(jsonb_build_object(
                   'instrument_id', m.instrument_id, 'connector_account_id', m.connector_account_id,
                   'network_transaction_id', m.network_transaction_id, 'until', now(),
                   'verification_id', w.verification_id)),
               instrument_id = w.instrument_id, connector_account_id = w.connector_account_id,
               network_transaction_id = w.network_transaction_id, version = version + 1
         WHERE bucket = w.mandate_bucket AND id = w.mandate_id
        RETURNING * INTO m;
        INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
        VALUES (m.bucket, m.id, w.event_id, m.merchant_id, m.livemode, m.id, 'mandate_updated', m.version, w.content);
        RETURN NEXT m.id;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION renew_mandates(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION renew_mandates(jsonb) TO scrooge_app;
