"""What this process and the others saw of late, for the risk rules: in memory, told and heard every second.

Nothing here waits or writes on a payment's way. A process that is killed loses what it saw in its last second.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from datetime import timedelta
from uuid import uuid4

import structlog
from msgspec import structs

from scrooge.domain.attempt import Operation, State
from scrooge.domain.payment import Payment
from scrooge.flows.learning import remember, spared
from scrooge.flows.risk_lines import Lines
from scrooge.postgres.database import Database
from scrooge.postgres.rows import EPOCH
from scrooge.risk.check import Suspect
from scrooge.risk.recent import MINUTE, Recent, Sighting, sighting
from scrooge.storage import risk
from scrooge.storage.risk import Active
from scrooge.webhooks.asking import Asker

log = structlog.get_logger()
TURN_SECONDS = 1.0
OVERLAP = timedelta(seconds=5)  # what was written but not yet visible at the last look
ROW_MOST = 2_000  # sightings in one row
WAITING_MOST = 50_000  # that wait for a database that is away: beyond that the oldest are lost
ROWS_MOST = 1_000  # that are read in one turn
START_MOST = 5_000  # that are read at the start, the latest first
UNDERWAY_MOST = 20_000  # payments whose end is waited for
FORGET_TURNS, FORGET_MOST = 60, 5_000


class Memory:
    """Of one process: the policies that count, what was seen, and the payments whose end is waited for."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.active = Active(db)
        self.recent = Recent()
        self.lines, self.asker = Lines(), Asker()
        self.process = uuid4().hex
        self.waiting: deque[Sighting] = deque(maxlen=WAITING_MOST)
        self.underway: OrderedDict[str, tuple[Suspect, bool]] = OrderedDict()
        self.heard: frozenset[int] = frozenset()
        self.heard_at = EPOCH
        self.turns = 0

    # --- one payment -------------------------------------------------------------------------

    def recorded(self, payment: str, suspect: Suspect, seen: Sighting) -> None:
        """It was counted when it was checked; now it is on its way, and others shall know."""
        with spared(payment):
            remember(self.underway, payment, (suspect, False), UNDERWAY_MOST)
            self.waiting.append(seen)

    def taken_back(self, seen: Sighting) -> None:
        """It was counted and came to nothing."""
        self.recent.put(structs.replace(seen, attempts=-seen.attempts, declines=-seen.declines))

    def taught(self, before: Payment, after: Payment) -> None:
        """A change was committed, by us and so by nobody else. A decline counts once, unless an approval follows."""
        with spared(after.id):
            found = self.underway.get(after.id)
            if found is None:
                return
            suspect, declined = found
            known = {a.id: a.state for a in before.attempts}
            news = {
                a.state for a in after.attempts if a.operation is Operation.AUTHORIZE and known.get(a.id) != a.state
            }
            if State.APPROVED in news and declined:
                self.say(suspect, -1)
                self.underway[after.id] = suspect, False
            elif State.DECLINED in news and not declined:
                self.say(suspect, 1)
                self.underway[after.id] = suspect, True

    def say(self, suspect: Suspect, declines: int) -> None:
        self.waiting.append(self.recent.put(sighting(suspect, 0, declines)))

    # --- with the others ---------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled; what goes wrong is logged, and tried again."""
        while True:
            try:
                await self.turn()
            except Exception as error:
                log.warning("risk_counts_not_shared", error=type(error).__name__)
            await asyncio.sleep(TURN_SECONDS)

    async def turn(self) -> None:
        """Nothing is asked of the database before somebody has made a policy."""
        if not self.active.active:
            return
        await self.tell()
        await self.hear()
        self.turns += 1
        if self.turns % FORGET_TURNS == 0:
            await risk.forget(self.db, FORGET_MOST)

    async def tell(self) -> None:
        while self.waiting:
            some = [self.waiting[i] for i in range(min(ROW_MOST, len(self.waiting)))]
            await risk.tell(self.db, self.process, some)
            for _ in some:
                self.waiting.popleft()

    async def hear(self) -> None:
        """Rows are heard once, although each look begins a little before the last one ended."""
        first = self.heard_at == EPOCH
        since = EPOCH if first else self.heard_at - OVERLAP
        soon = (
            time.time_ns() // 1000 // MINUTE + 1
        )  # Where a clock is ahead, what it tells counts, and takes nothing away.
        rows, latest = await risk.told(self.db, self.process, since, START_MOST if first else ROWS_MOST)
        for row in reversed([i for i in rows if i not in self.heard]):
            for seen in rows[row]:
                self.recent.put(seen if seen.minute <= soon else structs.replace(seen, minute=soon))
        self.heard, self.heard_at = frozenset(rows), latest

    async def close(self) -> None:
        """What a process that is told to stop has not told yet."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self.tell()
        await self.asker.close()
