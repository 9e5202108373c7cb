"""The PostgreSQL that is measured: a real one with fsync on, and fresh databases on it that go with the run."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
from msgspec import Struct

from scrooge.cli.place import usable
from scrooge.postgres import embedded
from scrooge.postgres.database import Database, connect
from scrooge.postgres.embedded import Embedded
from scrooge.postgres.migrate import connect as plain
from scrooge.settings import Settings
from scrooge.storage.migrate import migrate

OURS = 60  # connections of serve, worker and the bench itself, beside those of pgbench
MOST = "SELECT current_setting('max_connections') AS most"
TOLD = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


class Server(Struct, frozen=True):
    """`pid` is the postmaster's, where the server is the embedded one; `folder` keeps the run's files."""

    url: str
    folder: Path
    pid: int | None


@contextmanager
def server(settings: Settings, parent: Path, clients: int) -> Iterator[Server]:
    """The embedded PostgreSQL in a directory of its own under `parent`, or the one in the settings.

    pgbench has a connection for each of the clients: the embedded server makes room for them.
    """
    with usable(parent, "--data-dir"):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent)).resolve()
    try:
        if settings.database_url is not None:
            yield Server(settings.database_url, folder, None)
            return
        running = with_room(embedded.start(folder), folder, clients + OURS)
        try:
            yield Server(running.url, folder, running.pid)
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def with_room(running: Embedded, folder: Path, connections: int) -> Embedded:
    if connections <= int(asyncio.run(ask(running.url, MOST))["most"]):
        return running
    asyncio.run(execute(running.url, f"ALTER SYSTEM SET max_connections = {connections}"))
    running.stop()
    return embedded.start(folder)


@asynccontextmanager
async def fresh_database(
    where: Server, name: str, migrated: Callable[[str], Awaitable[object]] = migrate
) -> AsyncIterator[str]:
    """A database with the schema, dropped at the end; its URL."""
    database = f"scrooge_bench_{name}_{secrets.token_hex(4)}"
    await execute(where.url, f"CREATE DATABASE {database}")
    url = urlunsplit(urlsplit(where.url)._replace(path=f"/{database}"))
    try:
        await migrated(url)
        yield url
    finally:
        await execute(where.url, f"DROP DATABASE {database} WITH (FORCE)")


async def execute(url: str, *statements: str) -> None:
    """As the login itself, outside any transaction."""
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)


async def ask(url: str, question: str, *args: Any) -> Any:
    """One row."""
    async with session(url) as connection:
        return await connection.fetchrow(question, *args)


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Any]:
    """One connection of the login itself, which may take its time."""
    connection = await plain(url)
    try:
        await connection.execute("SET statement_timeout = 0")
        yield connection
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    db = await connect(url, size=2, role=None)
    try:
        yield db
    finally:
        await db.close()


async def write_transactions(url: str) -> int:
    """How many transactions have written so far: only those get a number."""
    row = await ask(url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS n")
    return row["n"]


async def wal_bytes(url: str) -> int:
    row = await ask(url, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS n")
    return int(row["n"])


async def described(url: str) -> dict[str, str]:
    """Version and the settings that decide what a commit costs."""
    found = {}
    for name in TOLD:
        row = await ask(url, "SELECT current_setting($1) AS v", name)
        found[name] = row["v"]
    return found


def postmaster(where: Server) -> psutil.Process | None:
    return psutil.Process(where.pid) if where.pid is not None else None
