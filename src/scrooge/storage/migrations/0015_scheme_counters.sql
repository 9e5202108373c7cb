-- What the schemes allow of trying a card again, held in the transaction that records an attempt. The rules come with
-- each attempt (routing/schemes); what is counted is kept here, one row a merchant, card and scope.

CREATE TABLE scheme_counters (
    bucket       smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),  -- the card's
    merchant_id  uuid NOT NULL,
    livemode     boolean NOT NULL,
    card         text NOT NULL,  -- a keyed fingerprint, else the instrument; never a number
    scope        text NOT NULL,
    times        bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(times) <= 100),  -- Unix microseconds, ascending
    declined_at  bigint,  -- of a scope that counts reattempts
    until        bigint,  -- of a scope that stops: its end
    rule         text NOT NULL DEFAULT '',
    sent_at      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, merchant_id, livemode, card, scope)
) WITH (fillfactor = 60);

-- Where and as what an authorization was counted, so that its end, whoever hears of it, gives back the right thing.
ALTER TABLE attempts ADD COLUMN counted jsonb;
ALTER TABLE attempts ADD COLUMN followed text;  -- why what followed it did, where that is not plain
GRANT SELECT (followed) ON attempts TO scrooge_reader;

-- Counts each attempt, or says which rule refuses it and until when (null: for ever). In order: of two attempts with one
-- card the second sees the first. The rows are locked until the caller's transaction ends, always in the order of
-- the key. Only these two functions write counters: traffic itself has no grant to.
CREATE FUNCTION admit_attempts(wanted jsonb) RETURNS TABLE (payment_id uuid, rule text, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a record;
    refused record;
    needed bigint;
    held bigint;
BEGIN
    IF jsonb_array_length(wanted) = 0 THEN
        RETURN;
    END IF;
    LOOP
        INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope)
        SELECT DISTINCT x.bucket, x.merchant_id, x.livemode, x.card, s.scope
          FROM jsonb_to_recordset(wanted) AS x(bucket smallint, merchant_id uuid, livemode boolean, card text, counts jsonb),
               jsonb_to_recordset(x.counts) AS s(scope text)
         ORDER BY 1, 2, 3, 4, 5
            ON CONFLICT DO NOTHING;
        WITH keys AS (
            SELECT DISTINCT x.bucket, x.merchant_id, x.livemode, x.card, s.scope
              FROM jsonb_to_recordset(wanted) AS x(bucket smallint, merchant_id uuid, livemode boolean, card text, counts jsonb),
                   jsonb_to_recordset(x.counts) AS s(scope text)
        ), locked AS (
            SELECT c.scope
              FROM keys k JOIN scheme_counters c USING (bucket, merchant_id, livemode, card, scope)
             ORDER BY c.bucket, c.merchant_id, c.livemode, c.card, c.scope
               FOR UPDATE OF c
        )
        SELECT (SELECT count(*) FROM keys), (SELECT count(*) FROM locked) INTO needed, held;
        EXIT WHEN held = needed;  -- Else an end took an empty row away between the two.
    END LOOP;
    FOR a IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               payment_id uuid, bucket smallint, merchant_id uuid, livemode boolean, card text, at bigint,
               counts jsonb, limits jsonb, stops jsonb)
    LOOP
        SELECT f.rule, f.until INTO refused
          FROM (SELECT l.rule, w.within[l.most] + l.span + 1 AS until
                  FROM jsonb_to_recordset(a.limits) AS l(scope text, again boolean, most integer, span bigint, rule text)
                  JOIN scheme_counters c
                    ON c.bucket = a.bucket AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
                   AND c.card = a.card AND c.scope = l.scope
                 CROSS JOIN LATERAL (SELECT array_agg(t ORDER BY t DESC) AS within
                                       FROM unnest(c.times) AS t WHERE t >= a.at - l.span) AS w
                 WHERE cardinality(w.within) >= l.most AND (NOT l.again OR a.at - c.declined_at <= l.span)
                UNION ALL
                SELECT c.rule, nullif(c.until, 9223372036854775807) + 1
                  FROM jsonb_array_elements_text(a.stops) AS s(scope)
                  JOIN scheme_counters c
                    ON c.bucket = a.bucket AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
                   AND c.card = a.card AND c.scope = s.scope
                 WHERE c.until >= a.at) AS f
         ORDER BY f.until DESC NULLS FIRST
         LIMIT 1;
        IF FOUND THEN
            payment_id := a.payment_id;
            rule := refused.rule;
            until := refused.until;
            RETURN NEXT;
        ELSE
            UPDATE scheme_counters c
               SET times = ARRAY(SELECT t FROM (
                       SELECT t FROM (
                           SELECT t FROM unnest(c.times) AS t WHERE t >= a.at - s.span
                           UNION ALL
                           SELECT a.at WHERE NOT s.again OR a.at - c.declined_at <= s.span) AS one_more(t)
                        ORDER BY t DESC LIMIT 100) AS latest(t) ORDER BY t),
                   declined_at = CASE WHEN s.again THEN greatest(c.declined_at, a.at) END
              FROM jsonb_to_recordset(a.counts) AS s(scope text, again boolean, span bigint)
             WHERE c.bucket = a.bucket AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
               AND c.card = a.card AND c.scope = s.scope;
        END IF;
    END LOOP;
END $$;

-- What ends of attempts give back, and what the issuers' answers forbid. Each is the same whatever was counted since. A
-- row that says nothing any more goes. Returns how many there were.
CREATE FUNCTION end_attempts(ends jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    e record;
    done integer := 0;
BEGIN
    FOR e IN
        SELECT *
          FROM jsonb_to_recordset(ends) AS x(
               bucket smallint, merchant_id uuid, livemode boolean, card text, scope text, at bigint, back boolean,
               clear boolean, lift boolean, until bigint, rule text)
         ORDER BY x.bucket, x.merchant_id, x.livemode, x.card, x.scope
    LOOP
        done := done + 1;
        IF e.until IS NOT NULL THEN
            INSERT INTO scheme_counters AS c (bucket, merchant_id, livemode, card, scope, until, rule, sent_at)
            VALUES (e.bucket, e.merchant_id, e.livemode, e.card, e.scope, e.until, e.rule, e.at)
                ON CONFLICT (bucket, merchant_id, livemode, card, scope) DO UPDATE
               SET until = greatest(c.until, excluded.until),
                   rule = CASE WHEN c.until >= excluded.until THEN c.rule ELSE excluded.rule END,
                   sent_at = greatest(c.sent_at, excluded.sent_at);
            CONTINUE;
        END IF;
        UPDATE scheme_counters c
           SET times = CASE WHEN e.back AND e.at = ANY (c.times)
                            THEN c.times[:array_position(c.times, e.at) - 1] || c.times[array_position(c.times, e.at) + 1:]
                            ELSE c.times END,
               declined_at = CASE WHEN e.clear AND c.declined_at <= e.at THEN NULL ELSE c.declined_at END,
               until = CASE WHEN e.lift AND c.sent_at <= e.at THEN NULL ELSE c.until END
         WHERE c.bucket = e.bucket AND c.merchant_id = e.merchant_id AND c.livemode = e.livemode
           AND c.card = e.card AND c.scope = e.scope;
        DELETE FROM scheme_counters c
         WHERE c.bucket = e.bucket AND c.merchant_id = e.merchant_id AND c.livemode = e.livemode
           AND c.card = e.card AND c.scope = e.scope
           AND c.times = '{}' AND c.declined_at IS NULL AND c.until IS NULL;
    END LOOP;
    RETURN done;
END $$;

REVOKE ALL ON FUNCTION admit_attempts(jsonb), end_attempts(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admit_attempts(jsonb), end_attempts(jsonb) TO scrooge_app;
GRANT SELECT ON scheme_counters TO scrooge_app;
-- Not the cards' names.
GRANT SELECT (bucket, merchant_id, livemode, scope, times, declined_at, until, rule, sent_at)
    ON scheme_counters TO scrooge_reader;
