"""Group commit: what is recorded or applied while a commit is in flight is written together by the next one.

One lane for records and one for applies, each with a connection of its own and one batch in flight. Nothing waits
when nothing is in flight, and each caller hears of its own change alone: when a batch fails, its changes are tried
one by one. Payments of one batch are all different, so that no change rides on another's version.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import asyncpg
import structlog

from scrooge.connectors.connector import Request
from scrooge.crash import reach
from scrooge.domain.payment import Payment
from scrooge.errors import DatabaseUnavailable
from scrooge.metrics import BATCHED, COMMITS
from scrooge.storage import changes
from scrooge.storage.changes import Change, Guard
from scrooge.storage.database import Database, connect

log = structlog.get_logger()
BATCH_MAX = 128  # larger ones gained nothing and make everybody in them wait
WAITING_MAX = 2048
LOCK_MILLISECONDS = 250  # whoever holds a payment longer is left alone, and does not hold up a batch
WRITE_SECONDS = 10.0  # a commit that takes longer waits for a standby that is gone
Made = tuple[Payment, Guard, Request, int]
# One change alone could have caused these; the others of its batch must not suffer.
ALONE = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.LockNotAvailableError,
         asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.RaiseError,
         asyncpg.InsufficientPrivilegeError)  # fmt: skip
Future = asyncio.Future[bool]
Item = TypeVar("Item")


class Lane(Generic[Item]):
    """Items in order of arrival, written a batch at a time. `name_of` is the payment that an item is about."""

    def __init__(
        self,
        name: str,
        db: Database,
        write: Callable[[Any, list[Item]], Awaitable[set[str]]],
        name_of: Callable[[Item], str],
    ) -> None:
        self.name, self.db, self.write, self.name_of = name, db, write, name_of
        self.waiting: deque[tuple[Item, Future]] = deque()
        self.task: asyncio.Task[None] | None = None
        self.batches, self.commits = BATCHED.labels(name), COMMITS.labels(name)

    async def put(self, item: Item) -> bool:
        """Was it written? False: somebody else was first. Raises DatabaseUnavailable and what the row itself broke.

        A caller that gives up does not take its change out of the batch it is in.
        """
        if len(self.waiting) >= WAITING_MAX:
            raise DatabaseUnavailable("too much is waiting to be written")
        future: Future = asyncio.get_running_loop().create_future()
        self.waiting.append((item, future))
        if self.task is None:
            self.task = asyncio.create_task(self.drain())
        return await future

    async def drain(self) -> None:
        try:
            while self.waiting:
                await self.flush(self.next_batch())
        finally:
            self.task = None
            if self.waiting:
                self.task = asyncio.create_task(self.drain())

    def next_batch(self) -> dict[str, tuple[Item, Future]]:
        """By payment. A second change of a payment waits for its turn, and everything behind it with it."""
        batch: dict[str, tuple[Item, Future]] = {}
        while self.waiting and len(batch) < BATCH_MAX:
            name = self.name_of(self.waiting[0][0])
            if name in batch:
                break
            batch[name] = self.waiting.popleft()
        return batch

    async def flush(self, batch: dict[str, tuple[Item, Future]]) -> None:
        """Writes a batch and tells everybody in it; never raises."""
        try:
            written = await self.commit([item for item, _ in batch.values()])
        except ALONE as error:
            if len(batch) == 1:
                tell_failed(batch, error)
                return
            log.warning("batch_split", lane=self.name, size=len(batch), error=type(error).__name__)
            for name, entry in batch.items():
                await self.flush({name: entry})
        except Exception as error:
            tell_failed(batch, error)
        else:
            for name, (_, future) in batch.items():
                if not future.done():
                    future.set_result(name in written)

    async def commit(self, items: list[Item]) -> set[str]:
        """One statement, and so one transaction. Sorted, so that two batches lock in the same order."""
        items.sort(key=self.name_of)
        reach("commit.before")
        async with self.db.acquired() as connection, asyncio.timeout(WRITE_SECONDS):
            written = await self.write(connection, items)
        reach("commit.after")
        self.commits.inc()
        self.batches.observe(len(items))
        return written


def tell_failed(batch: dict[str, tuple[Any, Future]], error: Exception) -> None:
    for _, future in batch.values():
        if future.done():
            continue
        if isinstance(error, ALONE):
            future.set_exception(error)
        else:  # Whether it was written is not known: the row, if it is there, is found by its key or by the resolver.
            unavailable = DatabaseUnavailable("the database did not confirm the commit")
            unavailable.__cause__ = error
            future.set_exception(unavailable)


class Writer:
    """The two lanes of a process, on connections that wait a moment for a lock, not longer."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.records: Lane[Made] = Lane("record", db, changes.create, lambda made: made[0].id)
        self.applies: Lane[Change] = Lane("apply", db, changes.save, lambda change: change.after.id)

    async def create(self, made: Made) -> bool:
        """Records a new payment with its first attempt; False: its key or reference is taken."""
        return await self.records.put(made)

    async def save(self, change: Change) -> bool:
        """Writes a change; False: the payment was changed, or is being changed, by somebody else."""
        try:
            return await self.applies.put(change)
        except asyncpg.LockNotAvailableError:
            return False


async def open_writer(url: str) -> Writer:
    """Raises DatabaseUnavailable."""
    return Writer(await connect(url, size=2, lock_milliseconds=LOCK_MILLISECONDS))
