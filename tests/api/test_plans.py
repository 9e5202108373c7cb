"""The statements behind lists and feeds find their rows by an index, whatever the size of the tables."""

import asyncpg
import pytest

from scrooge.storage import books, listing

UUID, MOMENT = "'01a1fd7a-0000-7000-8000-000000000000'::uuid", "now()"
WHOLE = [
    (listing.Q["newest"], [UUID, "false", UUID, UUID, MOMENT, MOMENT, "NULL", "NULL", "21", "5000"]),
    (
        listing.Q["of_reference"],
        ["ARRAY[1]::smallint[]", f"ARRAY[{UUID}]", UUID, "false", "'r'", UUID, MOMENT, MOMENT, "NULL", "NULL", "21"],
    ),
    (listing.Q["cards"], ["ARRAY[1]::smallint[]", f"ARRAY[{UUID}]"]),
    (listing.Q["events_of"], ["1", UUID]),
    (listing.Q["feed"], [UUID, "false", "'1'", UUID, "NULL", "21", "5000"]),
    (listing.Q["account_health"], [UUID, UUID, UUID, "500"]),
    (listing.Q["account_unresolved"], [UUID]),
    (books.Q["journals_of"], ["1", UUID]),
    (books.Q["entries"], [UUID, "false", "'assets.x'", "'EUR'", UUID, "0", "21", "400"]),
    (books.Q["balances"], [UUID, "false"]),
]


@pytest.mark.parametrize(("query", "arguments"), WHOLE, ids=lambda v: getattr(v, "name", ""))
async def test_no_table_is_read_from_end_to_end(database_url: str, query, arguments: list[str]):
    """A sequential scan is made as dear as it would be on large tables; what is left of them has no index."""
    sql = query.sql
    for position in range(len(arguments), 0, -1):
        sql = sql.replace(f"${position}", arguments[position - 1])
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}"))
    await connection.close()
    assert "Seq Scan" not in plan, plan
