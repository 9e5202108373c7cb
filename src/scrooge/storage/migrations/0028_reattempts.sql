-- What counts as a reattempt is known only when the attempts before it have ended. So a scope that counts reattempts
-- keeps the moments of all attempts that an issuer heard of, and which of them were approved: what follows one of those
-- was no reattempt, whoever heard of what first. And no clock of a process takes moments away, or counts beside them.

-- Beside `times`, one for one; empty where declines are counted. `declined_at` is not written any more.
ALTER TABLE scheme_counters ADD COLUMN approved boolean[] NOT NULL DEFAULT '{}';
GRANT SELECT (approved) ON scheme_counters TO scrooge_reader;

-- Until now `times` had the reattempts only, and `declined_at` the latest attempt, or nothing since an approval. What is
-- put before the first of them, and what is taken for declined, is on the cautious side.
WITH before AS (
    SELECT bucket, merchant_id, livemode, card, scope, declined_at,
           times[1] - 1 || times[greatest(cardinality(times) - 97, 1):] AS times
      FROM scheme_counters
     WHERE scope LIKE 'reattempts%' AND times <> '{}'
     UNION ALL
    SELECT bucket, merchant_id, livemode, card, scope, declined_at, ARRAY[declined_at]
      FROM scheme_counters
     WHERE scope LIKE 'reattempts%' AND times = '{}' AND declined_at IS NOT NULL
), whole AS (
    SELECT bucket, merchant_id, livemode, card, scope, declined_at IS NULL AS cleared,
           CASE WHEN declined_at > times[cardinality(times)] THEN times || declined_at ELSE times END AS times
      FROM before
)
UPDATE scheme_counters c
   SET times = w.times, declined_at = NULL,
       approved = array_fill(false, ARRAY[cardinality(w.times) - 1]) || w.cleared
  FROM whole w
 WHERE (c.bucket, c.merchant_id, c.livemode, c.card, c.scope) = (w.bucket, w.merchant_id, w.livemode, w.card, w.scope);

-- As before, but by `clock`, in Unix microseconds: an attempt whose own moment is further than five minutes from it
-- counts at the five minutes. Then its end finds nothing to give back, which is the cautious side. `also` is what its
-- card is called beside `card`: it counts under each, and each can refuse it.
CREATE FUNCTION admit_attempts(wanted jsonb, clock bigint) RETURNS TABLE (payment_id uuid, rule text, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a record;
    refused record;
    moment bigint;
    buckets smallint[];
    merchants uuid[];
    livemodes boolean[];
    cards text[];
    scopes text[];
    held bigint;
BEGIN
    SELECT array_agg(k.bucket), array_agg(k.merchant_id), array_agg(k.livemode), array_agg(k.card), array_agg(k.scope)
      INTO buckets, merchants, livemodes, cards, scopes
      FROM (SELECT x.bucket, x.merchant_id, x.livemode, x.card, s.scope
              FROM jsonb_to_recordset(wanted) AS x(bucket smallint, merchant_id uuid, livemode boolean, card text, counts jsonb)
             CROSS JOIN LATERAL jsonb_to_recordset(x.counts) AS s(scope text)
             UNION
            SELECT o.bucket, x.merchant_id, x.livemode, o.card, s.scope
              FROM jsonb_to_recordset(wanted) AS x(merchant_id uuid, livemode boolean, also jsonb, counts jsonb)
             CROSS JOIN LATERAL jsonb_to_recordset(x.also) AS o(bucket smallint, card text)
             CROSS JOIN LATERAL jsonb_to_recordset(x.counts) AS s(scope text)
             ORDER BY 1, 2, 3, 4, 5) AS k;
    LOOP
        INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope)
        SELECT k.* FROM unnest(buckets, merchants, livemodes, cards, scopes) AS k
            ON CONFLICT DO NOTHING;
        WITH locked AS (
            SELECT c.scope
              FROM unnest(buckets, merchants, livemodes, cards, scopes) AS k(bucket, merchant_id, livemode, card, scope)
              JOIN scheme_counters c USING (bucket, merchant_id, livemode, card, scope)
             ORDER BY c.bucket, c.merchant_id, c.livemode, c.card, c.scope
               FOR UPDATE OF c
        )
        SELECT count(*) FROM locked INTO held;
        EXIT WHEN held = coalesce(cardinality(scopes), 0);  -- Else an end took an empty row away between the two.
    END LOOP;
    FOR a IN
        SELECT *
          FROM jsonb_to_recordset(wanted) AS x(
               payment_id uuid, bucket smallint, merchant_id uuid, livemode boolean, card text, at bigint,
               counts jsonb, limits jsonb, stops jsonb, also jsonb)
    LOOP
        moment := greatest(least(a.at, clock + 300000000), clock - 300000000);
        SELECT array_agg(k.bucket), array_agg(k.card) INTO buckets, cards
          FROM (SELECT a.bucket, a.card
                 UNION ALL SELECT o.bucket, o.card FROM jsonb_to_recordset(a.also) AS o(bucket smallint, card text)) AS k;
        rule := NULL;
        FOR i IN 1 .. cardinality(cards) LOOP
            SELECT f.rule, f.until INTO refused
              FROM (SELECT l.rule, w.within[l.most] + l.span + 1 AS until
                      FROM jsonb_to_recordset(a.limits) AS l(scope text, again boolean, most integer, span bigint, rule text)
                      JOIN scheme_counters c
                        ON c.bucket = buckets[i] AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
                       AND c.card = cards[i] AND c.scope = l.scope AND cardinality(c.times) >= l.most
                     CROSS JOIN LATERAL (
                           SELECT array_agg(c.times[n] ORDER BY n DESC) AS within
                             FROM generate_subscripts(c.times, 1) AS n
                            WHERE c.times[n] >= moment - l.span
                              AND (NOT l.again OR NOT c.approved[n - 1] AND c.times[n] - c.times[n - 1] <= l.span)) AS w
                     WHERE cardinality(w.within) >= l.most
                       AND (NOT l.again OR NOT c.approved[cardinality(c.times)]
                                           AND moment - c.times[cardinality(c.times)] <= l.span)
                    UNION ALL
                    SELECT c.rule, nullif(c.until, 9223372036854775807) + 1
                      FROM jsonb_array_elements_text(a.stops) AS s(scope)
                      JOIN scheme_counters c
                        ON c.bucket = buckets[i] AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
                       AND c.card = cards[i] AND c.scope = s.scope
                     WHERE c.until >= moment) AS f
             ORDER BY f.until DESC NULLS FIRST
             LIMIT 1;
            IF FOUND AND (rule IS NULL OR refused.until IS NULL OR refused.until > until) THEN
                rule := refused.rule;
                until := refused.until;
            END IF;
        END LOOP;
        IF rule IS NOT NULL THEN
            payment_id := a.payment_id;
            RETURN NEXT;
            CONTINUE;
        END IF;
        FOR i IN 1 .. cardinality(cards) LOOP
            UPDATE scheme_counters c
               SET (times, approved) = (
                   SELECT k.times[:p.n] || moment || k.times[p.n + 1:],
                          CASE WHEN s.again THEN k.approved[:p.n] || false || k.approved[p.n + 1:] ELSE k.approved END
                     FROM (SELECT c.times[greatest(cardinality(c.times) - 98, 1):] AS times,
                                  c.approved[greatest(cardinality(c.approved) - 98, 1):] AS approved) AS k
                    CROSS JOIN LATERAL (SELECT count(*)::integer AS n FROM unnest(k.times) AS t WHERE t <= moment) AS p)
              FROM jsonb_to_recordset(a.counts) AS s(scope text, again boolean)
             WHERE c.bucket = buckets[i] AND c.merchant_id = a.merchant_id AND c.livemode = a.livemode
               AND c.card = cards[i] AND c.scope = s.scope;
        END LOOP;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION admit_attempts(wanted jsonb) RETURNS TABLE (payment_id uuid, rule text, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF jsonb_array_length(wanted) > 0 THEN
        RETURN QUERY SELECT * FROM admit_attempts(wanted, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    END IF;
END $$;

-- What ends of attempts give back, what was approved (`clear`), and what the issuers' answers forbid. Each is the same
-- whatever was counted since. An approval after another, or before everything, says nothing; a row that says nothing any
-- more goes. Returns how many there were.
CREATE OR REPLACE FUNCTION end_attempts(ends jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    e record;
    c record;
    n integer;
    moments bigint[];
    good boolean[];
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
            INSERT INTO scheme_counters AS k (bucket, merchant_id, livemode, card, scope, until, rule, sent_at)
            VALUES (e.bucket, e.merchant_id, e.livemode, e.card, e.scope, e.until, e.rule, e.at)
                ON CONFLICT (bucket, merchant_id, livemode, card, scope) DO UPDATE
               SET until = greatest(k.until, excluded.until),
                   rule = CASE WHEN k.until >= excluded.until THEN k.rule ELSE excluded.rule END,
                   sent_at = greatest(k.sent_at, excluded.sent_at);
            CONTINUE;
        END IF;
        SELECT k.times, k.approved, CASE WHEN e.lift AND k.sent_at <= e.at THEN NULL ELSE k.until END AS until INTO c
          FROM scheme_counters k
         WHERE k.bucket = e.bucket AND k.merchant_id = e.merchant_id AND k.livemode = e.livemode
           AND k.card = e.card AND k.scope = e.scope
           FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        moments := c.times;
        good := c.approved;
        n := (SELECT min(i) FROM generate_subscripts(moments, 1) AS i WHERE moments[i] = e.at AND good[i] IS NOT TRUE);
        IF n IS NOT NULL AND e.back THEN
            moments := moments[:n - 1] || moments[n + 1:];
            good := good[:n - 1] || good[n + 1:];
        ELSIF n IS NOT NULL AND e.clear THEN
            good[n] := true;
        END IF;
        IF true = ANY (good) THEN
            SELECT coalesce(array_agg(moments[i] ORDER BY i), '{}'), coalesce(array_agg(good[i] ORDER BY i), '{}')
              INTO moments, good
              FROM generate_subscripts(good, 1) AS i
             WHERE NOT good[i] OR NOT good[i - 1];
        END IF;
        IF moments = '{}' AND c.until IS NULL THEN
            DELETE FROM scheme_counters k
             WHERE k.bucket = e.bucket AND k.merchant_id = e.merchant_id AND k.livemode = e.livemode
               AND k.card = e.card AND k.scope = e.scope;
        ELSE
            UPDATE scheme_counters k
               SET times = moments, approved = good, until = c.until
             WHERE k.bucket = e.bucket AND k.merchant_id = e.merchant_id AND k.livemode = e.livemode
               AND k.card = e.card AND k.scope = e.scope;
        END IF;
    END LOOP;
    RETURN done;
END $$;

REVOKE ALL ON FUNCTION admit_attempts(jsonb, bigint) FROM PUBLIC;
