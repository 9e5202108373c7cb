-- The audit's chain is made by the database, so that what is done and its record take one statement: one way there and
-- back. `scrooge vault audit verify` makes it anew by itself and compares.

CREATE FUNCTION audit_chain_step(before bytea, head bytea, record text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sha256(coalesce(before, head) || convert_to(record, 'UTF8'));
END $$;

CREATE AGGREGATE audit_chain (head bytea, record text) (SFUNC = audit_chain_step, STYPE = bytea);

-- Records at a stream's end, in the order given; how many. The stream's head stays locked until the transaction ends.
CREATE FUNCTION append_audit(
    of_stream text, who text[], act text[], object text[], outcome text[], origin text[], detail text[]
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    head record;
    moment timestamptz;
    at_text text;
BEGIN
    IF who IS NULL THEN
        RETURN 0;
    END IF;
    SELECT h.seq, h.hash INTO STRICT head FROM audit_heads h WHERE h.stream = of_stream FOR UPDATE;
    moment := clock_timestamp();
    at_text := to_json(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'));
    WITH given AS (
        SELECT head.seq + g.place AS seq, g.*
          FROM unnest(who, act, object, outcome, origin, detail) WITH ORDINALITY
               AS g(who, act, object, outcome, origin, detail, place)
    ), told AS (
        SELECT g.*,
               audit_chain(head.hash, concat(
                   '[', to_json(of_stream), ',', g.seq, ',', at_text, ',', to_json(g.who), ',', to_json(g.act), ',',
                   to_json(g.object), ',', to_json(g.outcome), ',', to_json(g.origin), ',', to_json(g.detail), ']'
               )) OVER (ORDER BY g.place) AS hash
          FROM given g
    ), kept AS (
        INSERT INTO audit (stream, seq, at, who, act, object, outcome, origin, detail, hash)
        SELECT of_stream, t.seq, moment, t.who, t.act, t.object, t.outcome, t.origin, t.detail, t.hash FROM told t
    )
    UPDATE audit_heads h SET seq = t.seq, hash = t.hash
      FROM (SELECT told.seq, told.hash FROM told ORDER BY told.place DESC LIMIT 1) AS t
     WHERE h.stream = of_stream;
    RETURN cardinality(who);
END $$;

REVOKE EXECUTE ON FUNCTION append_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_audit TO scrooge_vault;
