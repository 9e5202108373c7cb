-- What counts no more goes, in small batches. Traffic may delete neither counters nor what was learned: it may call
-- these, which take only what says nothing any more, by the database's own clock.

-- Counters of one bucket in which nothing has been for `kept` and whose stop is over. Whatever `kept` says, two months stay:
-- an older process must not take away what the rules of a newer one still look at. Rows somebody holds are left to him.
CREATE FUNCTION forget_counters(of_bucket smallint, kept interval, most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH past AS (
        SELECT (extract(epoch FROM now() - greatest(kept, interval '60 days')) * 1000000)::bigint AS counts,
               (extract(epoch FROM now() - interval '1 day') * 1000000)::bigint AS stops
    ), gone AS (
        SELECT c.bucket, c.merchant_id, c.livemode, c.card, c.scope
          FROM scheme_counters c, past
         WHERE c.bucket = of_bucket
           AND coalesce(c.times[cardinality(c.times)], 0) < past.counts
           AND coalesce(c.declined_at, 0) < past.counts
           AND coalesce(c.until, 0) < past.stops
         LIMIT most
           FOR UPDATE OF c SKIP LOCKED
    ), deleted AS (
        DELETE FROM scheme_counters c
         USING gone g
         WHERE (c.bucket, c.merchant_id, c.livemode, c.card, c.scope) = (g.bucket, g.merchant_id, g.livemode, g.card, g.scope)
        RETURNING 1
    )
    SELECT count(*)::integer FROM deleted
$$;

-- Effects of which so little is left that they say the same as none, and troubles that ended a week ago.
CREATE FUNCTION forget_lessons(most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH faint AS (
        SELECT e.merchant_id, e.livemode, e.key
          FROM routing_effects e
         CROSS JOIN LATERAL (SELECT (extract(epoch FROM now()) * 1000000 - e.at) / e.half_life AS half_lives) AS since
         WHERE e.changed_at < now() - interval '1 day' AND since.half_lives > 1
           AND faded(e.precision, since.half_lives) < 0.001 AND abs(faded(e.pull, since.half_lives)) < 0.001
         LIMIT most
           FOR UPDATE OF e SKIP LOCKED
    ), unlearned AS (
        DELETE FROM routing_effects e
         USING faint f
         WHERE (e.merchant_id, e.livemode, e.key) = (f.merchant_id, f.livemode, f.key)
        RETURNING 1
    ), over AS (
        SELECT t.merchant_id, t.livemode, t.account, t.segment
          FROM routing_troubles t
         WHERE t.ended AND t.changed_at < now() - interval '7 days'
         LIMIT most
           FOR UPDATE OF t SKIP LOCKED
    ), forgotten AS (
        DELETE FROM routing_troubles t
         USING over o
         WHERE (t.merchant_id, t.livemode, t.account, t.segment) = (o.merchant_id, o.livemode, o.account, o.segment)
        RETURNING 1
    )
    SELECT greatest((SELECT count(*) FROM unlearned), (SELECT count(*) FROM forgotten))::integer
$$;

REVOKE ALL ON FUNCTION forget_counters(smallint, interval, integer), forget_lessons(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_counters(smallint, interval, integer), forget_lessons(integer) TO scrooge_app;
