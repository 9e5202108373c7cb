-- What a PSP calls the card number behind a token: the same however often it keeps the card, so that a card has one limit
-- and not one for each of its tokens. The connector and a digest; null: not heard yet.
ALTER TABLE credentials ADD COLUMN card_fingerprint text;

-- A card has got another name, or one more: what was counted under the first counts under the other, too. Only ever
-- more: moments are put together, of stops the one that ends last stays. Saying it again changes nothing. Returns how
-- many rows the other name has now.
CREATE FUNCTION name_cards(several jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n record;
    k record;
    done integer := 0;
BEGIN
    FOR n IN
        SELECT DISTINCT x.*
          FROM jsonb_to_recordset(several) AS x(
               merchant_id uuid, livemode boolean, bucket smallint, card text, to_bucket smallint, to_card text)
    LOOP
        INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope)
        SELECT n.to_bucket, n.merchant_id, n.livemode, n.to_card, c.scope
          FROM scheme_counters c
         WHERE c.bucket = n.bucket AND c.merchant_id = n.merchant_id AND c.livemode = n.livemode AND c.card = n.card
         ORDER BY c.scope
            ON CONFLICT DO NOTHING;
        PERFORM
           FROM scheme_counters c
          WHERE c.merchant_id = n.merchant_id AND c.livemode = n.livemode
            AND (c.bucket, c.card) IN ((n.bucket, n.card), (n.to_bucket, n.to_card))
          ORDER BY c.bucket, c.merchant_id, c.livemode, c.card, c.scope
            FOR UPDATE;
        FOR k IN
            SELECT c.scope, max(c.until) AS until, max(c.sent_at) AS sent_at,
                   coalesce((array_agg(c.rule ORDER BY c.until DESC NULLS LAST))[1], '') AS rule
              FROM scheme_counters c
             WHERE c.merchant_id = n.merchant_id AND c.livemode = n.livemode
               AND (c.bucket, c.card) IN ((n.bucket, n.card), (n.to_bucket, n.to_card))
             GROUP BY c.scope
        LOOP
            done := done + 1;
            UPDATE scheme_counters c
               SET until = k.until, sent_at = k.sent_at, rule = k.rule, (times, approved) = (
                   SELECT coalesce(array_agg(l.t ORDER BY l.t), '{}'),
                          coalesce(array_agg(l.good ORDER BY l.t) FILTER (WHERE l.good IS NOT NULL), '{}')
                     FROM (SELECT u.t, bool_and(b.approved[u.i]) AS good
                             FROM scheme_counters b
                            CROSS JOIN LATERAL unnest(b.times) WITH ORDINALITY AS u(t, i)
                            WHERE b.merchant_id = n.merchant_id AND b.livemode = n.livemode AND b.scope = k.scope
                              AND (b.bucket, b.card) IN ((n.bucket, n.card), (n.to_bucket, n.to_card))
                            GROUP BY u.t
                            ORDER BY u.t DESC
                            LIMIT 100) AS l)
             WHERE c.bucket = n.to_bucket AND c.merchant_id = n.merchant_id AND c.livemode = n.livemode
               AND c.card = n.to_card AND c.scope = k.scope;
        END LOOP;
    END LOOP;
    RETURN done;
END $$;
REVOKE ALL ON FUNCTION name_cards(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION name_cards(jsonb) TO scrooge_app;
