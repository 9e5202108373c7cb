"""Admission: how many requests a process works on at once. The others wait a moment in line, or are refused
before anything is done for them.

Whoever waits for a PSP, or for the rest of a slow body, does no work and is not counted meanwhile. No more are at work
than were finished within the last second, so that whoever is let in has about a second of work before it, however slow
the machine is. What was refused is not finished: many quick refusals do not make room for more slow work.
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
PATIENCE = 1.0  # seconds in line
LEAST = 8  # an eighth may be at work however few were finished: a burst after a quiet hour finds its pace from there
MOMENT = 0.05  # a body that takes longer is waited for outside


class Admission:
    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.pace = Finished()
        self.gate = Gate(len(Rank), self.has_room)

    def has_room(self, rank: int) -> bool:
        inside = self.gate.inside
        if rank == Rank.OUTSIDE:
            return inside[rank] < max(2, self.most // OWN_SHARE)
        limit = self.limit
        return inside[Rank.PAYMENT] + inside[Rank.READ] < limit and (
            rank == Rank.PAYMENT or inside[rank] < max(1, limit // 2)
        )

    @property
    def limit(self) -> int:
        return min(self.most, max(self.most // LEAST, 1, self.pace.lately))

    async def enter(self, rank: Rank, until: float | None) -> None:
        """In at once, or after a moment in line. Raises Overloaded. `until`: as in Keyed."""
        most = self.most * HELD_TIMES
        if self.held >= most and (rank is not Rank.OUTSIDE or self.held >= most + most // OWN_SHARE):
            raise shed(rank)
        if not self.gate.enter(rank):
            await self.wait(rank, until)
        self.held += 1

    async def wait(self, rank: Rank, until: float | None) -> None:
        patience = self.gate.patience(rank, PATIENCE)
        if until is not None:
            patience = min(patience, until - time.monotonic())
        full = self.gate.waiting(rank) >= self.most * LINE_TIMES
        if full or patience <= 0 or not await self.gate.wait(rank, patience):
            raise shed(rank)

    def show(self) -> None:
        HELD.set(self.held)
        for rank, name in NAMES.items():
            AT_WORK.labels(name).set(max(0, self.gate.inside[rank]))
            WAITING.labels(name).set(self.gate.waiting(rank))

    def leave(self, rank: Rank, *, finished: bool = True) -> None:
        self.held -= 1
        if finished and rank is not Rank.OUTSIDE:
            self.pace.count(time.monotonic())
        self.gate.leave(rank)

    def step_out(self, rank: Rank) -> None:
        """Somebody inside begins to wait for others, and makes room."""
        self.gate.leave(rank)

    def step_back(self, rank: Rank) -> None:
        """What was begun goes on: there is always room for that."""
        self.gate.inside[rank] += 1


class Finished:
    """How many were finished in the last second, or in the one that runs, whichever are more."""

    def __init__(self) -> None:
        self.began, self.before, self.running = 0.0, 0, 0

    def count(self, now: float) -> None:
        passed = now - self.began
        if passed >= 1.0:
            self.before = self.running if passed < 2.0 else 0
            self.began, self.running = now, 0
        self.running += 1

    @property
    def lately(self) -> int:
        return max(self.before, self.running)


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
