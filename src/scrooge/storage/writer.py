"""Group commit: records and applies that come while a commit is in flight are written together by the next one.

One lane for records and one for applies, each with a connection of its own. Payments of one batch are all different,
so that no change rides on another's version.
"""

from typing import Any

import asyncpg

from scrooge.connectors.connector import Request
from scrooge.crash import reach
from scrooge.domain.payment import Payment
from scrooge.storage import changes
from scrooge.storage.changes import Change, Guard
from scrooge.storage.database import Database, connect
from scrooge.storage.lane import Lane

LOCK_MILLISECONDS = 250  # whoever holds a payment longer is left alone, and does not hold up a batch
Made = tuple[Payment, Guard, Request, int]


class Writer:
    """The two lanes of a process."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.records: Lane[Made, bool] = Lane("record", db, record, lambda made: made[0].id)
        self.applies: Lane[Change, bool] = Lane("apply", db, apply, lambda change: change.after.id)

    async def create(self, made: Made) -> bool:
        """Records a new payment with its first attempt; False: its key or reference is taken, or is being taken."""
        try:
            return await self.records.put(made) is not None
        except asyncpg.LockNotAvailableError:
            return False

    async def save(self, change: Change) -> bool:
        """Writes a change; False: the payment was changed, or is being changed, by somebody else."""
        try:
            return await self.applies.put(change) is not None
        except asyncpg.LockNotAvailableError:
            return False


async def open_writer(url: str) -> Writer:
    """Raises DatabaseUnavailable."""
    return Writer(await connect(url, size=2, lock_milliseconds=LOCK_MILLISECONDS))


async def record(connection: Any, made: list[Made]) -> dict[str, bool]:
    reach("commit.before")
    written = await changes.create(connection, made)
    reach("commit.after")
    return dict.fromkeys(written, True)


async def apply(connection: Any, several: list[Change]) -> dict[str, bool]:
    reach("commit.before")
    written = await changes.save(connection, several)
    reach("commit.after")
    return dict.fromkeys(written, True)
