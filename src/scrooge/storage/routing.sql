-- decisions :many
-- Of one payment, in the order of its attempts.
SELECT attempt_id, decision::text
  FROM routing_decisions
 WHERE bucket = $1 AND payment_id = $2
 ORDER BY attempt_id;

-- learn :none
-- ($1 JSON array) Adds what a process has learned to what is kept, which fades by the time and the events since. In the
-- order of the keys, so that no two processes wait for each other.
INSERT INTO routing_effects AS e (
       merchant_id, livemode, key, precision, pull, at, events, half_life, half_events, changed_at)
SELECT r.merchant_id, r.livemode, r.key, r.precision, r.pull, r.at, r.events, r.half_life, r.half_events,
       clock_timestamp()
  FROM jsonb_to_recordset($1::jsonb) AS r(
       merchant_id uuid, livemode boolean, key text, precision double precision, pull double precision, at bigint,
       events double precision, half_life double precision, half_events double precision)
 ORDER BY r.merchant_id, r.livemode, r.key
    ON CONFLICT (merchant_id, livemode, key) DO UPDATE
   SET precision = faded(e.precision, (greatest(e.at, excluded.at) - e.at) / excluded.half_life
                                      + excluded.events / excluded.half_events)
                 + faded(excluded.precision, (greatest(e.at, excluded.at) - excluded.at) / excluded.half_life),
       pull = faded(e.pull, (greatest(e.at, excluded.at) - e.at) / excluded.half_life
                            + excluded.events / excluded.half_events)
            + faded(excluded.pull, (greatest(e.at, excluded.at) - excluded.at) / excluded.half_life),
       at = greatest(e.at, excluded.at), events = excluded.events, half_life = excluded.half_life,
       half_events = excluded.half_events, changed_at = excluded.changed_at;

-- learned :many
-- What has changed since; with what was written a little earlier, which may not have been visible then.
SELECT merchant_id, livemode, key, precision, pull, at, changed_at
  FROM routing_effects
 WHERE changed_at > $1
 ORDER BY changed_at DESC
 LIMIT $2;

-- tell :none
-- ($1 JSON array) The younger trouble counts; one that has ended does not begin again.
INSERT INTO routing_troubles AS t (
       merchant_id, livemode, account, segment, signal, since, tried_at, pause, ended, changed_at)
SELECT r.merchant_id, r.livemode, r.account, r.segment, r.signal, r.since, r.tried_at, r.pause, r.ended,
       clock_timestamp()
  FROM jsonb_to_recordset($1::jsonb) AS r(
       merchant_id uuid, livemode boolean, account text, segment text, signal text, since bigint, tried_at bigint,
       pause double precision, ended boolean)
 ORDER BY r.merchant_id, r.livemode, r.account, r.segment
    ON CONFLICT (merchant_id, livemode, account, segment) DO UPDATE
   SET signal = excluded.signal, since = excluded.since, pause = excluded.pause, ended = excluded.ended,
       tried_at = excluded.tried_at, changed_at = excluded.changed_at
 WHERE excluded.since > t.since OR (excluded.since = t.since AND NOT t.ended);

-- troubles :many
SELECT merchant_id, livemode, account, segment, signal, since, tried_at, pause, ended, changed_at
  FROM routing_troubles
 WHERE changed_at > $1
 ORDER BY changed_at;
