"""PostgreSQL: one pool a process, named queries from .sql files, and errors that callers understand."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import asyncpg
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.metrics import POOL_WAIT_SECONDS
from scrooge.postgres.primary import Primary

HEADER = re.compile(r"^-- (?P<name>[a-z_0-9]+) :(?P<shape>one|many|none)\n", re.MULTILINE)
SHOULD_WAIT = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.ReadOnlySQLTransactionError,
)
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary we were talking to is no longer one
    ConnectionError,
)
BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InsufficientResourcesError,
)
UNDONE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
TRIES = 3
ACQUIRE_SECONDS = 5.0
# Longer than any statement may take. A commit has no time limit of its own: it waits for the synchronous standby.
HELD_SECONDS = 20.0
# Planning our statements costs as much as running them, so a plan is made once a connection; and a plan made while the
# tables were small must find rows by index and not scan, or it would get slower with every payment.
PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


P = ParamSpec("P")
R = TypeVar("R")


class Query(Struct, frozen=True):
    """`shape` says what comes back: one row or None, many rows, none."""

    name: str
    shape: str
    sql: str


def load(path: Path) -> dict[str, Query]:
    """The named queries of a file; `-- name :shape` begins each."""
    _, *parts = HEADER.split(path.read_text())
    rows = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return {name: Query(name, shape, sql.strip().rstrip(";")) for name, shape, sql in rows}


class Connection(asyncpg.Connection):
    """Given back to the pool without a round trip: nothing here leaves state on a session."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """The pool. Raises DatabaseUnavailable when no connection can be had in time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @asynccontextmanager
    async def acquired(self, seconds: float = HELD_SECONDS) -> AsyncIterator[asyncpg.Connection]:
        """A connection for at most so long, and DatabaseUnavailable when there is none or it is lost."""
        started = time.monotonic()
        try:
            connection = await self.pool.acquire(timeout=ACQUIRE_SECONDS)
        except SHOULD_WAIT as error:
            raise DatabaseUnavailable("the database cannot be reached") from error
        POOL_WAIT_SECONDS.observe(time.monotonic() - started)
        # Hung up, not cancelled: PostgreSQL ends a canceled wait for the standby by showing a commit that it lacks.
        limit = asyncio.get_running_loop().call_later(seconds, connection.terminate)
        try:
            yield connection
        except asyncio.CancelledError:
            connection.terminate()  # before asyncpg asks for a cancellation
            raise
        except LOST as error:
            await self.pool.expire_connections()  # The others have most likely lost it too.
            lost = DatabaseUnavailable("the database connection was lost")
            lost.unconfirmed = not isinstance(error, asyncpg.ReadOnlySQLTransactionError)
            raise lost from error
        finally:
            limit.cancel()
            await self.pool.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """The same, where a lock that cannot be had and a statement that takes too long are the database's fault."""
        async with self.acquired() as connection:
            try:
                yield connection
            except BUSY as error:
                raise DatabaseUnavailable("the database is busy") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def run(self, query: Query, *args: Any) -> Any:
        async with self.connection() as connection:
            return await run(connection, query, *args)

    async def close(self) -> None:
        await self.pool.close()


class Part(Database):
    """At most so many of the pool's connections at once: what comes in crowds leaves the others to the rest."""

    def __init__(self, whole: Database, most: int) -> None:
        super().__init__(whole.pool)
        self.places = asyncio.Semaphore(most)

    @asynccontextmanager
    async def acquired(self, seconds: float = HELD_SECONDS) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await self.places.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("too much is waiting for the database") from error
        try:
            async with super().acquired(seconds) as connection:
                yield connection
        finally:
            self.places.release()


async def run(db: Any, query: Query, *args: Any) -> Any:
    """Runs a named query on a Database or a connection; the shape picks what comes back."""
    if isinstance(db, Database):
        return await db.run(query, *args)
    match query.shape:
        case "one":
            return await db.fetchrow(query.sql, *args)
        case "many":
            return await db.fetch(query.sql, *args)
        case _:
            return await db.execute(query.sql, *args)


def redone(phase: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """For a phase that is one transaction and asks nobody outside: what PostgreSQL undid whole, to end a deadlock or a
    conflict, is done once more. Raises DatabaseUnavailable when that happens three times."""

    @wraps(phase)
    async def tried(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(TRIES - 1):
            try:
                return await phase(*args, **kwargs)
            except DatabaseUnavailable as problem:
                if not isinstance(problem.__cause__, UNDONE):
                    raise
            await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311
        return await phase(*args, **kwargs)

    return tried


async def connect(
    url: str, *, size: int, role: str | None = "scrooge_app", lock_milliseconds: int = 10_000,
    isolation: str = "read committed",
) -> Database:  # fmt: skip
    """Opens the pool. Every connection acts as `role`, so that serving traffic cannot change history."""
    settings = {
        "application_name": "scrooge",
        "statement_timeout": "15000",
        "lock_timeout": str(lock_milliseconds),
        "idle_in_transaction_session_timeout": "10000",
        "timezone": "UTC",
        "default_transaction_isolation": isolation,
        **PLANNER,
    }
    if role is not None:
        settings["role"] = role
    try:
        pool = await asyncpg.create_pool(
            url,
            connect=Primary(url).connect,
            min_size=min(2, size),
            max_size=size,
            connection_class=Connection,
            server_settings=settings,
            max_inactive_connection_lifetime=300,
            timeout=ACQUIRE_SECONDS,
        )
    except SHOULD_WAIT as error:
        raise DatabaseUnavailable(f"the database cannot be reached: {type(error).__name__}") from error
    assert pool is not None
    return Database(pool)
