"""How a database and the work in it are doing: for the doctor, and for whoever waits until all is quiet."""

from datetime import datetime
from pathlib import Path

import asyncpg
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.migrate import connect

Q = load(Path(__file__).with_suffix(".sql"))


class Server(Struct, frozen=True):
    """`version` as PostgreSQL numbers it (150004); `at` is its clock in Unix seconds.

    `standby_wanted`: commits wait for a synchronous standby; `standbys` of them are connected (None: we may not know).
    """

    version: int
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    replica: bool
    at: float
    standby_wanted: bool
    standbys: int | None


class Work(Struct, frozen=True):
    """Counts; `next_month` says whether next month's partitions exist."""

    overdue: int
    unread: int
    breaks: int
    errands_parked: int
    accounts: int
    keys: int
    next_month: bool


class Activity(Struct, frozen=True):
    """Counts; `open` attempts wait for a PSP, `unread` notifications for the worker."""

    attempts: int
    open: int
    notifications: int
    unread: int


async def server(url: str) -> Server:
    """Raises DatabaseUnavailable, SettingsError."""
    connection = await connect(url)
    try:
        return Server(*await run(connection, Q["server"]))
    finally:
        await connection.close(timeout=5)


async def work(url: str) -> Work:
    """Needs the schema. Raises DatabaseUnavailable."""
    connection = await connect(url)
    try:
        await connection.execute("SET ROLE scrooge_app")
        return Work(*await run(connection, Q["work"]))
    except asyncpg.PostgresError as error:
        raise DatabaseUnavailable(f"the tables cannot be read: {error}") from error
    finally:
        await connection.close(timeout=5)


async def activity(db: Database, since: datetime) -> Activity:
    return Activity(*await run(db, Q["activity"], since))


async def waiting(db: Database) -> int:
    """How many attempts wait for a PSP and notifications for the worker, in tables of any size."""
    found = await run(db, Q["waiting"])
    return int(found["open"] + found["unread"])


async def statuses(db: Database, since: datetime) -> dict[str, int]:
    """Payments by status, the most frequent first."""
    return {row["status"]: row["payments"] for row in await run(db, Q["statuses"], since)}
