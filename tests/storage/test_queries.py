"""Every named query parses and types against the migrated schema, as the role that will run it."""

import re
from pathlib import Path

import asyncpg
import pytest

import scrooge.storage
from scrooge.postgres.database import PLANNER, Query, load

FOLDER = Path(scrooge.storage.__file__).parent
FILES = sorted(FOLDER.glob("*.sql"))
QUERIES = [(path.stem, query) for path in FILES for query in load(path).values()]


@pytest.fixture(scope="module")
async def connection(database_url: str):
    connection = await asyncpg.connect(database_url, server_settings={"role": "scrooge_app"})
    yield connection
    await connection.close()


@pytest.mark.parametrize(("file", "query"), QUERIES, ids=lambda v: v.name if isinstance(v, Query) else v)
async def test_prepares(connection: asyncpg.Connection, file: str, query: Query) -> None:
    await connection.prepare(query.sql)


GROWING = re.compile(r"Seq Scan on (?:payments|attempts|events|inbox|webhook_deliveries|idempotency_keys)\w*")
# What reports and the audit read, they read whole; what the doctor counts, it counts by index or in small tables.
WHOLE = {"audit", "books", "export", "listing", "findings"}
BUSY = [(file, query) for file, query in QUERIES if file not in WHOLE and query.name not in {"activity", "statuses"}]


@pytest.mark.parametrize(("file", "query"), BUSY, ids=lambda v: v.name if isinstance(v, Query) else v)
async def test_what_runs_all_the_time_reads_no_growing_table_whole(database_url: str, file: str, query: Query) -> None:
    """By the plan that every run of it gets (docs/adr/0007), whatever the tables hold."""
    connection = await asyncpg.connect(database_url, server_settings={"role": "scrooge_app", **PLANNER})
    try:
        arguments = len((await connection.prepare(query.sql)).get_parameters())
        await connection.execute(f"PREPARE it AS {query.sql}")
        values = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
        plan = [line for [line] in await connection.fetch(f"EXPLAIN EXECUTE it{values}")]
    finally:
        await connection.close()
    assert not GROWING.findall("\n".join(plan)), file


CLAIMS = [(file, query) for file, query in QUERIES if re.search(r"LIMIT.*SKIP LOCKED", query.sql, re.DOTALL)]


@pytest.mark.parametrize(("file", "query"), CLAIMS, ids=lambda v: v.name if isinstance(v, Query) else v)
def test_a_claim_chooses_its_rows_once(file: str, query: Query) -> None:
    """Chosen in the FROM of an UPDATE they may be chosen again for each row compared, skipping those just locked: more
    than its limit."""
    assert not re.search(
        r"FROM\s*\(\s*SELECT[^;]*LIMIT[^;]*SKIP LOCKED", re.sub(r"(?s)WITH.*AS MATERIALIZED \(.*?\n\)", "", query.sql)
    ), file
    assert "AS MATERIALIZED (" in query.sql, file
