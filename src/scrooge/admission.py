"""Admission: how many requests a process works on at once. The others wait a moment in line, or are refused
before anything is done for them.

Whoever waits for a PSP, or for the rest of a slow body, does no work and is not counted meanwhile.
"""

import asyncio
import time
from enum import IntEnum
from types import TracebackType

from scrooge.errors import Overloaded
from scrooge.gate import Gate
from scrooge.metrics import AT_WORK, HELD, SHED, WAITING


class Rank(IntEnum):
    """In the order in which they are let in. What PSPs and probes ask has places of its own; reads get half."""

    OUTSIDE = 0
    PAYMENT = 1
    READ = 2


NAMES = {rank: rank.name.lower() for rank in Rank}
OWN_SHARE = 4  # a quarter, in addition, for notifications of PSPs, health and metrics
LINE_TIMES = 2  # so many times the places may wait in each line
HELD_TIMES = 16  # and be in this process altogether, most of them waiting for PSPs
# A line that nobody finds empty any more is no burst but too much load: then a short wait is all that anybody gets, so
# that the work that is done is done in time.
PATIENCE, PATIENCE_SHORT, STANDING_SECONDS = 1.0, 0.1, 1.0
MOMENT = 0.05  # a body that takes longer is waited for outside


class Admission:
    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.places = (max(2, most // OWN_SHARE), most, max(1, most // 2))
        self.gate = Gate(len(Rank), self.has_room)
        self.standing_since = [0.0] * len(Rank)

    def has_room(self, rank: int) -> bool:
        inside = self.gate.inside
        if inside[rank] >= self.places[rank]:
            return False
        return rank == Rank.OUTSIDE or inside[Rank.PAYMENT] + inside[Rank.READ] < self.most

    async def enter(self, rank: Rank, until: float | None) -> None:
        """In at once, or after a moment in line. Raises Overloaded. `until`: as in Keyed."""
        most = self.most * HELD_TIMES
        if self.held >= most and (rank is not Rank.OUTSIDE or self.held >= most + most // OWN_SHARE):
            raise shed(rank)
        if not self.gate.enter(rank):
            await self.wait(rank, until)
        self.held += 1

    async def wait(self, rank: Rank, until: float | None) -> None:
        now, waiting = time.monotonic(), self.gate.waiting(rank)
        if waiting == 0:
            self.standing_since[rank] = now
        patience = PATIENCE if now - self.standing_since[rank] < STANDING_SECONDS else PATIENCE_SHORT
        if until is not None:
            patience = min(patience, until - now)
        if waiting >= self.places[rank] * LINE_TIMES or patience <= 0 or not await self.gate.wait(rank, patience):
            raise shed(rank)

    def show(self) -> None:
        HELD.set(self.held)
        for rank, name in NAMES.items():
            AT_WORK.labels(name).set(max(0, self.gate.inside[rank]))
            WAITING.labels(name).set(self.gate.waiting(rank))

    def leave(self, rank: Rank) -> None:
        self.held -= 1
        self.gate.leave(rank)

    def step_out(self, rank: Rank) -> None:
        """Somebody inside begins to wait for others, and makes room."""
        self.gate.leave(rank)

    def step_back(self, rank: Rank) -> None:
        """What was begun goes on: there is always room for that."""
        self.gate.inside[rank] += 1


class Aside:
    """Steps out of the way when what is awaited here takes longer than a moment."""

    __slots__ = ("admission", "rank", "stepped", "timer")

    def __init__(self, admission: Admission, rank: Rank) -> None:
        self.admission, self.rank, self.stepped = admission, rank, False

    def __enter__(self) -> None:
        self.timer = asyncio.get_running_loop().call_later(MOMENT, self.step_out)

    def step_out(self) -> None:
        self.stepped = True
        self.admission.step_out(self.rank)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.timer.cancel()
        if self.stepped:
            self.admission.step_back(self.rank)


def shed(rank: Rank) -> Overloaded:
    SHED.labels(NAMES[rank]).inc()
    return Overloaded("this process has as much to do as it can in time; nothing was done", retry_after=1)
