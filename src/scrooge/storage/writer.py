"""Group commit: records and applies that come while a commit is in flight are written together by the next one.

One lane for records and one for applies, each with a connection of its own. Payments of one batch are all different,
so that no change rides on another's version.

Applies are REPEATABLE READ: what somebody changed since the statement began is then an error, and is looked at again.
Under READ COMMITTED PostgreSQL would check that row again within the statement, and 18.4 crashes when it goes on after
that with partitions to be chosen at run time: the whole server, and with it everybody's sessions.
"""

from typing import Any

import asyncpg

from scrooge.crash import reach
from scrooge.postgres.database import TRIES, Database, connect
from scrooge.postgres.lane import Lane
from scrooge.storage import changes
from scrooge.storage.changes import Change, Made

LOCK_MILLISECONDS = 250  # whoever holds a payment longer is left alone, and does not hold up a batch


class Writer:
    """The two lanes of a process."""

    def __init__(self, db: Database, repeatable: Database) -> None:
        self.db, self.repeatable = db, repeatable
        self.records: Lane[Made, bool] = Lane("record", db, record, lambda made: made[0].id)
        self.applies: Lane[Change, bool] = Lane("apply", repeatable, apply, lambda change: change.after.id)

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
        except (asyncpg.LockNotAvailableError, asyncpg.SerializationError):
            return False

    async def close(self) -> None:
        await self.db.close()
        await self.repeatable.close()


async def open_writer(url: str) -> Writer:
    """Raises DatabaseUnavailable."""
    return Writer(
        await connect(url, size=1, lock_milliseconds=LOCK_MILLISECONDS),
        await connect(url, size=1, lock_milliseconds=LOCK_MILLISECONDS, isolation="repeatable read"),
    )


async def record(connection: Any, made: list[Made]) -> dict[str, bool]:
    reach("commit.before")
    written = await changes.create(connection, made)
    reach("commit.after")
    return dict.fromkeys(written, True)


async def apply(connection: Any, several: list[Change]) -> dict[str, bool]:
    reach("commit.before")
    written = await saved(connection, several)
    reach("commit.after")
    return dict.fromkeys(written, True)


async def saved(connection: Any, several: list[Change]) -> set[str]:
    """The second look sees what changed during the first, and leaves that payment out. Raises SerializationError."""
    for _ in range(TRIES - 1):
        try:
            return await changes.save(connection, several)
        except asyncpg.SerializationError:
            continue
    return await changes.save(connection, several)
