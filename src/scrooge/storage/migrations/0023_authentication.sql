-- Who is asked to authenticate: where an account's acquirer is, what was asked for each attempt and why, and how many
-- payments a card has made since its payer was last authenticated.

ALTER TABLE connector_accounts ADD COLUMN acquirer_country text
    CHECK (acquirer_country ~ '^[A-Z]{2}$');  -- ISO 3166-1; null: not known, so the PSP decides

ALTER TABLE attempts ADD COLUMN authentication jsonb;  -- null: nobody chose, so the PSP does

-- Regulation (EU) 2018/389 art. 16: a request for the low-value exemption may not be the sixth after an authentication,
-- nor come after EUR 100. Only payments of merchants whose policy chooses are counted: all that payers make, until
-- one of them is authenticated. Sixteen moments are more than any limit.
CREATE TABLE low_value_counters (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),  -- the card's
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    card         text NOT NULL,  -- a keyed fingerprint, else the instrument; never a number
    currency     char(3) NOT NULL,  -- of the limits
    times        bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(times) <= 16),  -- Unix microseconds
    minors       bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(minors) = cardinality(times)),
    PRIMARY KEY (bucket, merchant_id, livemode, card, currency)
) WITH (fillfactor = 60);

-- Counts each attempt, or names the payments whose request is one too many: then nothing of them is counted. In order:
-- of two with one card the second sees the first. Rows are locked in the order of the key until the transaction ends.
-- What is counted and then not recorded after all stays counted, which is the cautious side.
CREATE FUNCTION admit_low_value(wanted jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a record;
    c record;
BEGIN
    IF jsonb_array_length(wanted) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO low_value_counters (bucket, merchant_id, livemode, card, currency)
    SELECT DISTINCT x.bucket, x.merchant_id, x.livemode, x.card, x.currency
      FROM jsonb_to_recordset(wanted) AS x(bucket smallint, merchant_id uuid, livemode boolean, card text, currency char(3))
     ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT DO NOTHING;
    PERFORM l.card
       FROM low_value_counters l
      WHERE (l.bucket, l.merchant_id, l.livemode, l.card, l.currency) IN (
            SELECT x.bucket, x.merchant_id, x.livemode, x.card, x.currency
              FROM jsonb_to_recordset(wanted) AS x(bucket smallint, merchant_id uuid, livemode boolean, card text,
                                                   currency char(3)))
      ORDER BY l.bucket, l.merchant_id, l.livemode, l.card, l.currency
        FOR UPDATE;
    FOR a IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               payment_id uuid, bucket smallint, merchant_id uuid, livemode boolean, card text, currency char(3),
               at bigint, minor bigint, most_payments integer, most_minor bigint)
    LOOP
        SELECT l.times, l.minors, (SELECT coalesce(sum(m), 0) FROM unnest(l.minors) AS m) AS spent INTO c
          FROM low_value_counters l
         WHERE l.bucket = a.bucket AND l.merchant_id = a.merchant_id AND l.livemode = a.livemode
           AND l.card = a.card AND l.currency = a.currency;
        IF cardinality(c.times) > a.most_payments OR c.spent > a.most_minor THEN
            RETURN NEXT a.payment_id;
        ELSIF cardinality(c.times) < 16 THEN
            UPDATE low_value_counters l
               SET times = l.times || a.at, minors = l.minors || a.minor
             WHERE l.bucket = a.bucket AND l.merchant_id = a.merchant_id AND l.livemode = a.livemode
               AND l.card = a.card AND l.currency = a.currency;
        ELSE  -- The latest stays: an authentication before it takes back what was before that.
            UPDATE low_value_counters l
               SET times = l.times[2:] || a.at, minors = l.minors[2:] || a.minor
             WHERE l.bucket = a.bucket AND l.merchant_id = a.merchant_id AND l.livemode = a.livemode
               AND l.card = a.card AND l.currency = a.currency;
        END IF;
    END LOOP;
END $$;

-- The payer was authenticated for an attempt: what was sent up to then counts no more. Returns how many there were.
CREATE FUNCTION payer_authenticated(several jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    e record;
    done integer := 0;
BEGIN
    FOR e IN
        SELECT *
          FROM jsonb_to_recordset(several) AS x(
               bucket smallint, merchant_id uuid, livemode boolean, card text, currency char(3), at bigint)
         ORDER BY x.bucket, x.merchant_id, x.livemode, x.card, x.currency
    LOOP
        done := done + 1;
        UPDATE low_value_counters l
           SET times = ARRAY(SELECT k.at FROM unnest(l.times, l.minors) WITH ORDINALITY AS k(at, minor, place)
                              WHERE k.at > e.at ORDER BY k.place),
               minors = ARRAY(SELECT k.minor FROM unnest(l.times, l.minors) WITH ORDINALITY AS k(at, minor, place)
                               WHERE k.at > e.at ORDER BY k.place)
         WHERE l.bucket = e.bucket AND l.merchant_id = e.merchant_id AND l.livemode = e.livemode
           AND l.card = e.card AND l.currency = e.currency;
    END LOOP;
    RETURN done;
END $$;

REVOKE ALL ON FUNCTION admit_low_value(jsonb), payer_authenticated(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admit_low_value(jsonb), payer_authenticated(jsonb) TO scrooge_app;
GRANT SELECT ON low_value_counters TO scrooge_app;
-- Not the cards' names.
GRANT SELECT (bucket, merchant_id, livemode, currency, times, minors) ON low_value_counters TO scrooge_reader;
