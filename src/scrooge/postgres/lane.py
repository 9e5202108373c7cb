"""Requests that meet: what comes while a statement is in flight goes together with the next one.

Nothing waits when nothing is in flight, unless whoever brings it would rather have company: a hundred rows in one
statement cost a third of what ten cost each. Each caller hears of its own item alone, and a batch that fails is tried
one by one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import asyncpg
import structlog
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.metrics import BATCHED
from scrooge.postgres.database import Database

log = structlog.get_logger()
BATCH_MAX = 128  # larger ones gained nothing and make everybody in them wait
WAITING_MAX = 2048
COMPANY_SECONDS = 0.1  # that whoever wants company waits for it
RUN_SECONDS = 10.0  # a commit that takes longer waits for a standby that is gone
# These are nobody's fault, or everybody's. Any other error one item alone may have caused (a PSP's reply that no row
# takes), and the others of its batch must not suffer.
TOGETHER = (DatabaseUnavailable, asyncpg.InsufficientResourcesError, asyncpg.QueryCanceledError, OSError)
# The database said what is wrong with the item: whoever put it hears that.
ALONE = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.LockNotAvailableError,
         asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.RaiseError,
         asyncpg.InsufficientPrivilegeError)  # fmt: skip
Item = TypeVar("Item")
Result = TypeVar("Result")


class Entry(Struct, Generic[Item, Result]):
    """An item, and who waits to hear of it."""

    item: Item
    futures: list[asyncio.Future[Result | None]]

    def tell(self, result: Result | None) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        for future in self.futures:
            if future.done():
                continue
            if isinstance(error, ALONE):
                future.set_exception(error)
            else:  # Whether it was written is not known: if it was, its key or the resolver finds it.
                unavailable = DatabaseUnavailable("the database did not confirm in time")
                unavailable.__cause__ = error
                unavailable.unconfirmed = getattr(error, "unconfirmed", False)
                future.set_exception(unavailable)


class Lane(Generic[Item, Result]):
    """Items in order of arrival, a batch at a time, one batch in flight.

    `run` gets a connection and the items of a batch, and returns results by name; `name_of` names an item. A batch
    has each name once: a second item of a name waits for the next batch, or, in a lane of reads (`shared`), gets
    the answer of the first.
    """

    def __init__(
        self,
        name: str,
        db: Database,
        run: Callable[[Any, list[Item]], Awaitable[Mapping[Any, Result]]],
        name_of: Callable[[Item], Any],
        *,
        shared: bool = False,
    ) -> None:
        self.name, self.db, self.run, self.name_of, self.shared = name, db, run, name_of, shared
        self.waiting: deque[tuple[Item, asyncio.Future[Result | None]]] = deque()
        self.enough = BATCH_MAX  # so many wait for nothing more: the least that any of them asks for
        self.task: asyncio.Task[None] | None = None
        self.alarm: asyncio.TimerHandle | None = None
        self.batched = BATCHED.labels(name)

    async def put(self, item: Item, company: int = 1) -> Result | None:
        """The item's result; None when `run` has none for it. Raises DatabaseUnavailable, and what the item broke.

        `company`: how many had better be in its statement, for which it waits a little; as long as all the others do.
        A caller that gives up does not take its item out of the batch it is in.
        """
        if len(self.waiting) >= WAITING_MAX:
            raise DatabaseUnavailable("too much is waiting for the database")
        future: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self.waiting.append((item, future))
        self.enough = min(self.enough, company)
        if self.task is None:
            self.stir()
        return await future

    def stir(self) -> None:
        """Begins, or waits for company."""
        if len(self.waiting) >= self.enough:
            self.begin()
        elif self.waiting and self.alarm is None:
            self.alarm = asyncio.get_running_loop().call_later(COMPANY_SECONDS, self.begin)

    def begin(self) -> None:
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None
        if self.task is None and self.waiting:
            self.task = asyncio.create_task(self.drain())

    async def drain(self) -> None:
        try:
            await self.flush(self.next_batch())
            while len(self.waiting) >= self.enough:
                await self.flush(self.next_batch())
        finally:
            self.task = None
            self.stir()

    def next_batch(self) -> dict[Any, Entry[Item, Result]]:
        batch: dict[Any, Entry[Item, Result]] = {}
        while self.waiting and len(batch) < BATCH_MAX:
            name = self.name_of(self.waiting[0][0])
            if name in batch and not self.shared:
                break
            item, future = self.waiting.popleft()
            batch.setdefault(name, Entry(item, [])).futures.append(future)
        self.enough = 1 if self.waiting else BATCH_MAX
        return batch

    async def flush(self, batch: dict[Any, Entry[Item, Result]]) -> None:
        """Runs a batch and tells everybody in it; never raises."""
        try:
            found = await self.together([batch[name].item for name in sorted(batch)])
        except TOGETHER as error:
            for entry in batch.values():
                entry.fail(error)
        except Exception as error:
            if len(batch) > 1:
                log.warning("batch_split", lane=self.name, size=len(batch), error=type(error).__name__)
                for name, entry in batch.items():
                    await self.flush({name: entry})
                return
            for entry in batch.values():
                entry.fail(error)
        else:
            for name, entry in batch.items():
                entry.tell(found.get(name))

    async def together(self, items: list[Item]) -> Mapping[Any, Result]:
        """One statement, and so one transaction. Sorted by name, so that two batches lock in the same order."""
        async with self.db.acquired(RUN_SECONDS) as connection:
            found = await self.run(connection, items)
        self.batched.observe(len(items))
        return found
