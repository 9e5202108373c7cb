"""Group commit: records and applies that come while a commit is in flight are written together by the next one.

One lane for records and one for applies, each with a connection of its own. Payments of one batch are all different,
so that no change rides on another's version.

Applies are REPEATABLE READ: what somebody changed since the statement began is then an error, and is looked at again.
Under READ COMMITTED PostgreSQL would check that row again within the statement, and 18.4 crashes when it goes on after
that with partitions to be chosen at run time: the whole server, and with it everybody's sessions.
"""

from copy import copy
from typing import Any, Literal

import asyncpg

from scrooge.crash import reach
from scrooge.postgres.database import TRIES, Database, connect
from scrooge.postgres.lane import Lane
from scrooge.storage import changes
from scrooge.storage.changes import Change, Made
from scrooge.storage.scheme_limits import Refused

LOCK_MILLISECONDS = 250  # whoever holds a payment longer is left alone, and does not hold up a batch
Told = Refused | Literal[True]


class Writer:
    """The two lanes of a process."""

    def __init__(self, db: Database, repeatable: Database) -> None:
        self.db, self.repeatable, self.company = db, repeatable, 1
        self.records: Lane[Made, Told] = Lane("record", db, record, lambda made: made[0].id)
        self.applies: Lane[Change, Told] = Lane("apply", repeatable, apply, lambda change: change.after.id)

    def patient(self) -> "Writer":
        """The same lanes for payments that nobody waits for; `company` is how many had better go together."""
        return copy(self)

    async def create(self, made: Made) -> bool:
        """Records a new payment with its first attempt; False: its key or reference is taken, or is being taken.

        Raises ReattemptRefused, having recorded nothing.
        """
        try:
            return written(await self.records.put(made, self.company))
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            return False

    async def save(self, change: Change) -> bool:
        """Writes a change; False: the payment or its card's counters are being changed, or were, by somebody.

        Raises ReattemptRefused, having written nothing, when the change has a new attempt.
        """
        try:
            return written(await self.applies.put(change, self.company))
        except (asyncpg.LockNotAvailableError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
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


def written(told: Told | None) -> bool:
    if isinstance(told, Refused):
        raise told.problem()
    return told is not None


async def record(connection: Any, made: list[Made]) -> dict[str, Told]:
    reach("commit.before")
    found = await changes.create_each(connection, made)
    reach("commit.after")
    return {name: refused or True for name, refused in found.items()}


async def apply(connection: Any, several: list[Change]) -> dict[str, Told]:
    reach("commit.before")
    found = await saved(connection, several)
    reach("commit.after")
    return {name: refused or True for name, refused in found.items()}


async def saved(connection: Any, several: list[Change]) -> dict[str, Refused | None]:
    """The second look sees what changed during the first, and leaves that payment out. Raises SerializationError."""
    for _ in range(TRIES - 1):
        try:
            return await changes.save_each(connection, several)
        except asyncpg.SerializationError:
            continue
    return await changes.save_each(connection, several)
