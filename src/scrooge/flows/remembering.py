"""What processes have learned, kept in PostgreSQL and shared: deltas that add up, and troubles that all must know.

One that dies takes a few seconds of its lessons along. One that cannot reach the database goes on with what it knows.
"""

import asyncio
import contextlib
import time
from collections import deque
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec import structs

from scrooge.flows.learning import Learned, Learning, Lesson, Whose
from scrooge.postgres.database import Database
from scrooge.routing import record
from scrooge.routing.blame import Key
from scrooge.routing.estimates import Delta, Settings
from scrooge.routing.health import Trouble
from scrooge.storage import routing
from scrooge.storage.routing import LONG_AGO, Told

log = structlog.get_logger()
TELL_SECONDS = 0.5  # between two looks at what others found unwell
LEARN_TURNS = 4  # of these, one exchanges evidence
OVERLAP = timedelta(seconds=5)  # what was written but not yet visible at the last look
ROWS_MOST = 5_000  # effects in one statement
PENDING_MOST = 50_000  # effects that wait for a database that is away
START_MOST = 200_000  # effects that are read at the start, the latest first
READ_MOST = 64  # lessons whose facts are read in one turn
Place = tuple[Whose, str, Key]


class Remembering:
    """Of one process: what it has told the others and heard from them."""

    def __init__(self, db: Database, learning: Learning) -> None:
        self.db, self.learning = db, learning
        self.pending: deque[tuple[Whose, Delta, Settings]] = deque(maxlen=PENDING_MOST)
        self.learned_at = self.told_at = LONG_AGO
        self.told: dict[Place, Trouble] = {}
        self.turns = 0

    async def run(self) -> None:
        """Until it is cancelled; what goes wrong is logged, and tried again."""
        while True:
            try:
                await self.turn()
            except Exception as error:
                log.warning("learning_not_shared", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.learning.began.wait(), TELL_SECONDS)

    async def turn(self) -> None:
        self.learning.began.clear()
        await self.troubles()
        await self.unread()
        if self.turns % LEARN_TURNS == 0:
            await self.lessons()
        self.turns += 1

    async def close(self) -> None:
        """The last lessons of a process that is told to stop."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self.lessons()

    # --- evidence ----------------------------------------------------------------------------

    async def lessons(self) -> None:
        """Writes first, so that what is read back has our own in it."""
        await self.learning.unmapped.tell(self.db)
        await self.learning.fingerprints.tell(self.db)
        await self.learning.volumes.exchange(self.db)
        for whose, known in self.learning.known.items():
            self.pending.extend((whose, d, known.estimates.settings) for d in known.estimates.export())
        while self.pending:
            some = [self.pending[i] for i in range(min(ROWS_MOST, len(self.pending)))]
            await routing.learn(self.db, once(some))
            for _ in some:
                self.pending.popleft()
        most = START_MOST if self.learned_at == LONG_AGO else START_MOST // 10
        kept, latest = await routing.learned(self.db, earlier(self.learned_at), most)
        for whose, row in kept:
            self.learning.of(*whose).estimates.load([row])
        self.learned_at = latest

    async def unread(self) -> None:
        """Lessons about payments that another process has routed: the decision says what was known of them."""
        for _ in range(min(READ_MOST, len(self.learning.unread))):
            lesson = self.learning.unread.popleft()
            try:
                facts = await self.facts(lesson)
            except msgspec.MsgspecError as error:  # A word of a later release: no other lesson waits for it.
                log.warning("lesson_unreadable", payment=lesson.payment.id, error=str(error))
                continue
            except Exception:
                self.learning.unread.appendleft(lesson)
                raise
            if facts is not None:
                self.learning.teach(lesson, facts)

    async def facts(self, lesson: Lesson) -> record.Facts | None:
        p = lesson.payment
        found = await routing.decisions(self.db, p.id)
        own = {"merchant": p.merchant, "caller": p.caller, "currency": p.currency, "minor": p.minor, "at": p.created_at}
        return record.facts_of(found[-1][1], **own) if found else None

    # --- troubles ----------------------------------------------------------------------------

    async def troubles(self) -> None:
        news = list(self.changes())
        if news:
            await routing.tell(self.db, news)
            for told in news:
                self.note(told)
        heard, self.told_at = await routing.troubles(self.db, earlier(self.told_at))
        for told in heard:
            adopt(self.learning.of(*told.whose), told)
            self.note(told)

    def changes(self) -> list[Told]:
        """What has begun, changed or ended here since it was last told."""
        now: dict[Place, Trouble] = {
            (whose, owner, key): trouble
            for whose, known in self.learning.known.items()
            for owner, several in known.health.troubles.items()
            for key, trouble in several.items()
        }
        news = [Told(place[0], t, ended=False) for place, t in now.items() if differs(self.told.get(place), t)]
        over = [Told(place[0], t, ended=True) for place, t in self.told.items() if place not in now]
        return news + over

    def note(self, told: Told) -> None:
        place = told.whose, told.trouble.owner, told.trouble.key
        current = self.learning.of(*told.whose).health.troubles.get(place[1], {}).get(place[2])
        if current is None:
            self.told.pop(place, None)
        elif not told.ended:
            self.told[place] = current


def once(news: list[tuple[Whose, Delta, Settings]]) -> list[tuple[Whose, Delta, Settings]]:
    """One row for each key, as one statement needs it: what waited for the database is added up."""
    found: dict[tuple[Whose, Key], tuple[Whose, Delta, Settings]] = {}
    for whose, d, settings in news:
        old = found.get((whose, d.key))
        if old is not None:
            o = old[1]
            d = Delta(d.key, o.events + d.events, o.precision + d.precision, o.pull + d.pull, max(o.at, d.at))
        found[whose, d.key] = whose, d, settings
    return list(found.values())


def differs(old: Trouble | None, new: Trouble) -> bool:
    return old is None or (old.since, old.tried_at, old.pause) != (new.since, new.tried_at, new.pause)


def adopt(learned: Learned, told: Told) -> None:
    """What another process has found: the same account is not used here, either; when it is well there, it is here."""
    health, new = learned.health, told.trouble
    here = health.troubles.setdefault(new.owner, {})
    own = here.get(new.key)
    if told.ended:
        if own is not None and own.since <= new.since:
            del here[new.key]
            health.relapses[new.owner, new.key] = time.time_ns() // 1000, new.pause
    elif own is None:
        last, _ = health.relapses.get((new.owner, new.key), (0, 0.0))
        if new.since > last:  # Else it is one that we know to be over.
            here[new.key] = new
    else:
        here[new.key] = structs.replace(
            own,
            since=max(own.since, new.since),
            tried_at=max(own.tried_at, new.tried_at),
            pause=max(own.pause, new.pause),
        )


def earlier(moment: datetime) -> datetime:
    return moment if moment == LONG_AGO else moment - OVERLAP
