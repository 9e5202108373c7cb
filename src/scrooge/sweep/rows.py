"""Every row of a database, as COPY gives it: binary, so that nothing is encoded once more."""

from typing import Any

from scrooge.sweep.files import OVERLAP, WINDOW
from scrooge.sweep.finder import Finder, Hit, search

TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2
"""
COLUMNS = """
SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position
"""


class Stream:
    """Takes what COPY sends, and searches it a window at a time."""

    def __init__(self, finder: Finder, where: str) -> None:
        self.finder, self.where = finder, where
        self.waiting, self.read = bytearray(), 0
        self.hits: list[Hit] = []

    async def take(self, piece: bytes) -> None:
        self.waiting += piece
        self.read += len(piece)
        if len(self.waiting) >= WINDOW:
            self.look()
            del self.waiting[:-OVERLAP]

    def look(self) -> None:
        self.hits += search(self.finder, bytes(self.waiting), self.where)


async def in_database(connection: Any, finder: Finder) -> tuple[list[Hit], int]:
    """(what was found, by table and column; bytes read) on an asyncpg connection that may read every table."""
    hits, read = [], 0
    for schema, table in await connection.fetch(TABLES):
        found, size = await in_columns(connection, finder, schema, table)
        hits += found
        read += size
    return hits, read


async def in_columns(connection: Any, finder: Finder, schema: str, table: str) -> tuple[list[Hit], int]:
    """The table as it is; and where something is in it, its columns one by one, to say which."""
    whole = await copied(connection, Stream(finder, table), schema, table)
    hits: list[Hit] = []
    if whole.hits:
        for (column,) in await connection.fetch(COLUMNS, schema, table):
            hits += (await copied(connection, Stream(finder, f"{table}.{column}"), schema, table, [column])).hits
    return hits or whole.hits, whole.read


async def copied(connection: Any, stream: Stream, schema: str, table: str, columns: Any = None) -> Stream:
    await connection.copy_from_table(table, schema_name=schema, columns=columns, output=stream.take, format="binary")
    stream.look()
    return stream
