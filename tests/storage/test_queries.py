"""Every named query parses and types against the migrated schema, as the role that will run it."""

from pathlib import Path

import asyncpg
import pytest

import scrooge.storage
from scrooge.storage.database import Query, load

FOLDER = Path(scrooge.storage.__file__).parent
FILES = sorted(p for p in FOLDER.glob("*.sql") if p.stem != "roles")
QUERIES = [(path.stem, query) for path in FILES for query in load(path).values()]


@pytest.fixture(scope="module")
async def connection(database_url: str):
    connection = await asyncpg.connect(database_url, server_settings={"role": "scrooge_app"})
    yield connection
    await connection.close()


@pytest.mark.parametrize(("file", "query"), QUERIES, ids=lambda v: v.name if isinstance(v, Query) else v)
async def test_prepares(connection: asyncpg.Connection, file: str, query: Query) -> None:
    await connection.prepare(query.sql)
