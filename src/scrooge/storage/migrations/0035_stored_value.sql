-- The company's own balance as a payment function: accounts of stored value, and every move of them.

-- Rows of an account are in the bucket of its id, in tables of their own: a payment from it may live in another one.
CREATE TABLE stored_value_accounts (
    bucket           smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
    id               uuid NOT NULL,
    merchant_id      uuid NOT NULL,
    caller_id        uuid NOT NULL,
    livemode         boolean NOT NULL,
    reference        text CHECK (length(reference) BETWEEN 1 AND 128),  -- null: made for a refund that had no other place
    customer         text NOT NULL,
    currency         char(3) NOT NULL,
    purpose          text NOT NULL,
    instrument_id    uuid NOT NULL,  -- what a payment names to be paid from it
    expires_at       timestamptz,
    closed_at        timestamptz,
    replaced_by      uuid,  -- where a refund goes that finds it expired or closed
    available_minor  bigint NOT NULL DEFAULT 0 CHECK (available_minor >= 0),
    held_minor       bigint NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
    moves            bigint NOT NULL DEFAULT 0 CHECK (moves >= 0),  -- the number of the last
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, id),
    CONSTRAINT closed_is_empty CHECK (closed_at IS NULL OR (available_minor = 0 AND held_minor = 0))
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX one_stored_value_reference ON stored_value_accounts
    (bucket, merchant_id, caller_id, livemode, reference) WHERE reference IS NOT NULL;
CREATE INDEX stored_value_of_customer ON stored_value_accounts (merchant_id, customer, livemode, id);
CREATE INDEX stored_value_expiring ON stored_value_accounts (expires_at)
    WHERE expires_at IS NOT NULL AND available_minor > 0;

-- What happened to a balance, in order and without gaps, with both balances after it. A refusal is a row, too: whoever
-- asks again is told the same.
CREATE TABLE stored_value_moves (
    bucket            smallint NOT NULL,
    account_id        uuid NOT NULL,
    number            bigint NOT NULL CHECK (number > 0),
    id                uuid NOT NULL,  -- and its journal's
    kind              text NOT NULL CHECK (kind IN ('load', 'adjust_up', 'adjust_down', 'hold', 'sale', 'capture',
                                                    'release', 'refund', 'expire')),
    minor             bigint NOT NULL CHECK (minor > 0),
    available_minor   bigint NOT NULL CHECK (available_minor >= 0),
    held_minor        bigint NOT NULL CHECK (held_minor >= 0),
    declined          text,
    reference         text,  -- the caller's, of a load or an adjustment
    payment_id        uuid,
    attempt_id        uuid,
    authorization_id  uuid,  -- the attempt that held or took it
    author            text,  -- who asked for what no payment asks for
    note              text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, account_id, number),
    CHECK ((attempt_id IS NULL) = (authorization_id IS NULL))
);
-- An attempt moves once, however often it is asked for.
CREATE UNIQUE INDEX one_move_of_attempt ON stored_value_moves (bucket, authorization_id, attempt_id, kind)
    WHERE attempt_id IS NOT NULL;
CREATE UNIQUE INDEX one_move_of_reference ON stored_value_moves (bucket, account_id, reference)
    WHERE reference IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON stored_value_moves
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The account for which an instrument stands; a card's has none.
ALTER TABLE instruments ADD COLUMN stored_value_id uuid;

-- Moves stored value: the one place where a balance changes. Each of `wanted` is decided by what its account holds then,
-- and is done, or declined with the reason kept; one that was decided before is answered as then. Accounts are locked in
-- order and written once, so that a hundred payments from one cost it one row. What is done is in the books with it:
-- `debit` and `credit` name the ledger accounts, `rest_debit` and `rest_credit` those of what a final capture releases.
-- A move's journal is the move's own, under its id: `journal_balances` reads all journals of a payment, and an account that
-- is busy has too many of them.
CREATE FUNCTION move_stored_value(wanted jsonb)
RETURNS TABLE (name text, id uuid, account_id uuid, number bigint, kind text, minor bigint, available_minor bigint,
               held_minor bigint, declined text, fresh boolean, created_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    w record;
    a stored_value_accounts%ROWTYPE;  -- the one at hand
    b stored_value_accounts%ROWTYPE;  -- where this move goes
    old stored_value_moves%ROWTYPE;
    m stored_value_moves%ROWTYPE;
    room bigint;
    done stored_value_moves[] := '{}';
    debits text[] := '{}';
    credits text[] := '{}';
    merchants uuid[] := '{}';
    modes boolean[] := '{}';
    currencies text[] := '{}';
BEGIN
    FOR w IN
        SELECT x.*
          FROM ROWS FROM (jsonb_to_recordset(wanted) AS (
               name text, bucket smallint, account_id uuid, id uuid, kind text, minor bigint, currency char(3),
               merchant_id uuid, livemode boolean, payment_id uuid, attempt_id uuid, authorization_id uuid,
               reference text, author text, note text, debit text, credit text, rest_id uuid, rest_debit text,
               rest_credit text, new_account_id uuid, new_instrument_id uuid, new_token text))
               WITH ORDINALITY AS x
         ORDER BY x.bucket, x.account_id, x.ordinality
    LOOP
        IF a.id IS DISTINCT FROM w.account_id THEN
            IF a.id IS NOT NULL THEN
                UPDATE stored_value_accounts s
                   SET available_minor = a.available_minor, held_minor = a.held_minor, moves = a.moves,
                       replaced_by = a.replaced_by
                 WHERE s.bucket = a.bucket AND s.id = a.id AND s.moves < a.moves;
            END IF;
            SELECT * INTO a FROM stored_value_accounts s
             WHERE s.bucket = w.bucket AND s.id = w.account_id FOR UPDATE;
            CONTINUE WHEN NOT FOUND;
        END IF;

        IF w.attempt_id IS NOT NULL THEN
            SELECT * INTO old FROM stored_value_moves v
             WHERE v.bucket = w.bucket AND v.authorization_id = w.authorization_id AND v.attempt_id = w.attempt_id
               AND v.kind = w.kind;
        ELSE
            SELECT * INTO old FROM stored_value_moves v
             WHERE v.bucket = w.bucket AND v.account_id = w.account_id AND v.reference = w.reference;
        END IF;
        IF FOUND THEN
            RETURN QUERY SELECT w.name, old.id, old.account_id, old.number, old.kind, old.minor, old.available_minor,
                                old.held_minor, old.declined, false, old.created_at;
            CONTINUE;
        END IF;

        b := a;
        m := NULL;
        m.minor := w.minor;
        m.declined := CASE
            WHEN a.merchant_id <> w.merchant_id OR a.livemode <> w.livemode THEN 'not_usable'
            WHEN a.currency <> w.currency THEN 'currency_differs'
            WHEN w.kind IN ('hold', 'sale', 'load', 'adjust_up') AND a.closed_at IS NOT NULL THEN 'closed'
            WHEN w.kind IN ('hold', 'sale', 'load', 'adjust_up') AND a.expires_at <= now() THEN 'expired'
            WHEN w.kind IN ('hold', 'sale', 'adjust_down') AND a.available_minor < w.minor THEN 'insufficient_funds'
            WHEN w.kind = 'expire' AND (a.expires_at <= now()) IS NOT TRUE THEN 'not_expired'
        END;
        IF m.declined IS NULL AND w.kind IN ('capture', 'release') THEN
            SELECT coalesce(sum(CASE v.kind WHEN 'hold' THEN v.minor ELSE -v.minor END), 0) INTO room
              FROM stored_value_moves v
             WHERE v.bucket = w.bucket AND v.authorization_id = w.authorization_id AND v.account_id = w.account_id
               AND v.kind IN ('hold', 'capture', 'release') AND v.declined IS NULL;
            m.declined := CASE WHEN room < w.minor THEN 'no_room' END;
        ELSIF m.declined IS NULL AND w.kind = 'refund' THEN
            SELECT coalesce(sum(CASE v.kind WHEN 'refund' THEN -v.minor ELSE v.minor END), 0) INTO room
              FROM stored_value_moves v
             WHERE v.bucket = w.bucket AND v.authorization_id = w.authorization_id
               AND v.kind IN ('sale', 'capture', 'refund') AND v.declined IS NULL;
            m.declined := CASE WHEN room < w.minor THEN 'no_room' END;
        END IF;
        -- What no payment asks for is refused without a trace, and may be asked for again.
        IF m.declined IS NOT NULL AND w.attempt_id IS NULL THEN
            RETURN QUERY SELECT w.name, w.id, a.id, NULL::bigint, w.kind, w.minor, a.available_minor, a.held_minor,
                                m.declined, true, now();
            CONTINUE;
        END IF;
        IF m.declined IS NULL AND w.kind = 'expire' THEN
            m.minor := a.available_minor;
            CONTINUE WHEN m.minor = 0;
        END IF;

        -- A refund that finds the account over goes to the one that replaces it.
        IF m.declined IS NULL AND w.kind = 'refund' AND (a.closed_at IS NOT NULL OR a.expires_at <= now()) THEN
            SELECT * INTO b FROM stored_value_accounts s
             WHERE s.bucket = a.bucket AND s.id = a.replaced_by AND s.closed_at IS NULL
               AND (s.expires_at <= now()) IS NOT TRUE
               FOR UPDATE;
            IF NOT FOUND THEN
                INSERT INTO instruments (bucket, id, merchant_id, livemode, customer, stored_value_id)
                VALUES (a.bucket, w.new_instrument_id, a.merchant_id, a.livemode, a.customer, w.new_account_id);
                INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token)
                SELECT c.bucket, w.new_instrument_id, c.connector_account_id, 0, w.new_token
                  FROM credentials c WHERE c.bucket = a.bucket AND c.instrument_id = a.instrument_id;
                INSERT INTO stored_value_accounts (bucket, id, merchant_id, caller_id, livemode, customer, currency,
                                                   purpose, instrument_id)
                VALUES (a.bucket, w.new_account_id, a.merchant_id, a.caller_id, a.livemode, a.customer, a.currency,
                        a.purpose, w.new_instrument_id)
                RETURNING * INTO b;
                a.replaced_by := b.id;
                UPDATE stored_value_accounts s SET replaced_by = b.id WHERE s.bucket = a.bucket AND s.id = a.id;
            END IF;
        END IF;

        IF m.declined IS NULL THEN
            b.available_minor := b.available_minor + CASE
                WHEN w.kind IN ('load', 'adjust_up', 'release', 'refund') THEN m.minor
                WHEN w.kind IN ('hold', 'sale', 'adjust_down', 'expire') THEN -m.minor ELSE 0 END;
            b.held_minor := b.held_minor + CASE
                WHEN w.kind = 'hold' THEN m.minor WHEN w.kind IN ('capture', 'release') THEN -m.minor ELSE 0 END;
        END IF;
        b.moves := b.moves + 1;
        INSERT INTO stored_value_moves (bucket, account_id, number, id, kind, minor, available_minor, held_minor,
                                        declined, reference, payment_id, attempt_id, authorization_id, author, note)
        VALUES (b.bucket, b.id, b.moves, w.id, w.kind, m.minor, b.available_minor, b.held_minor, m.declined,
                w.reference, w.payment_id, w.attempt_id, w.authorization_id, w.author, w.note)
        RETURNING * INTO m;
        RETURN QUERY SELECT w.name, m.id, m.account_id, m.number, m.kind, m.minor, m.available_minor, m.held_minor,
                            m.declined, true, m.created_at;
        IF m.declined IS NULL THEN
            done := array_append(done, m);
            debits := debits || w.debit;
            credits := credits || w.credit;
            merchants := merchants || b.merchant_id;
            modes := modes || b.livemode;
            currencies := currencies || b.currency::text;
        END IF;
        -- After a final capture nothing of the hold is left to anybody.
        IF m.declined IS NULL AND w.rest_id IS NOT NULL AND room > m.minor THEN
            b.available_minor := b.available_minor + room - m.minor;
            b.held_minor := b.held_minor - (room - m.minor);
            b.moves := b.moves + 1;
            INSERT INTO stored_value_moves (bucket, account_id, number, id, kind, minor, available_minor, held_minor,
                                            payment_id, attempt_id, authorization_id)
            VALUES (b.bucket, b.id, b.moves, w.rest_id, 'release', room - m.minor, b.available_minor, b.held_minor,
                    w.payment_id, w.attempt_id, w.authorization_id)
            RETURNING * INTO m;
            done := array_append(done, m);
            debits := debits || w.rest_debit;
            credits := credits || w.rest_credit;
            merchants := merchants || b.merchant_id;
            modes := modes || b.livemode;
            currencies := currencies || b.currency::text;
        END IF;
        IF b.id = a.id THEN
            a := b;
        ELSE
            UPDATE stored_value_accounts s
               SET available_minor = b.available_minor, held_minor = b.held_minor, moves = b.moves
             WHERE s.bucket = b.bucket AND s.id = b.id;
        END IF;
    END LOOP;
    IF a.id IS NOT NULL THEN
        UPDATE stored_value_accounts s
           SET available_minor = a.available_minor, held_minor = a.held_minor, moves = a.moves,
               replaced_by = a.replaced_by
         WHERE s.bucket = a.bucket AND s.id = a.id AND s.moves < a.moves;
    END IF;

    IF cardinality(done) > 0 THEN
        INSERT INTO journals (bucket, payment_id, id, attempt_id, effect)
        SELECT d.bucket, d.id, d.id, coalesce(d.attempt_id, d.id), 'stored_value_' || d.kind
          FROM unnest(done) AS d;
        INSERT INTO postings (bucket, payment_id, journal_id, line, merchant_id, livemode, account, minor, currency)
        SELECT d.bucket, d.id, d.id, side.line, merchants[d.ordinality],
               modes[d.ordinality], CASE side.line WHEN 1 THEN debits[d.ordinality] ELSE credits[d.ordinality] END,
               side.sign * d.minor, currencies[d.ordinality]
          FROM unnest(done) WITH ORDINALITY AS d,
               (VALUES (1, 1), (2, -1)) AS side(line, sign);
    END IF;
END $$;
REVOKE ALL ON FUNCTION move_stored_value(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION move_stored_value(jsonb) TO scrooge_app;

-- Nobody who serves traffic changes a balance but by that.
GRANT SELECT ON stored_value_accounts, stored_value_moves TO scrooge_app;
GRANT INSERT (bucket, id, merchant_id, caller_id, livemode, reference, customer, currency, purpose, instrument_id,
              expires_at) ON stored_value_accounts TO scrooge_app;
GRANT UPDATE (closed_at) ON stored_value_accounts TO scrooge_app;
GRANT SELECT ON stored_value_accounts, stored_value_moves TO scrooge_reader;
