"""A bulkhead per connector account: so many requests at once, a bounded line, a circuit breaker.

A slot is taken before the attempt is recorded, so that a refusal costs nothing, and given back when the PSP has
answered. New authorizations may be refused. What must be asked (captures, voids, refunds, a payer who came back,
lost answers) has slots of its own and is never refused by a breaker, only spaced.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from types import TracebackType

from scrooge.admission import Admission, Rank
from scrooge.connectors.breaker import Breaker, State
from scrooge.connectors.pace import Pace
from scrooge.connectors.send import Answer, Health
from scrooge.errors import DeadlineTooShort, Problem, PspOverloaded, PspUnavailable
from scrooge.gate import Gate
from scrooge.metrics import PSP_BREAKER, PSP_INSIDE, PSP_LIMIT, PSP_SHED, PSP_WAITING

SHARE_KEPT = 8  # an eighth of the slots is for the other lane, whatever this one wants


class Lane(IntEnum):
    """In the order in which they are served."""

    RECOVERY = 0
    NEW = 1


WAIT_SECONDS = {Lane.RECOVERY: 5.0, Lane.NEW: 1.0}
LINE_MAX = {Lane.RECOVERY: 1024, Lane.NEW: 256}
LEAST_SECONDS = 2.0  # a PSP gets at least so long to answer, whatever the caller's deadline is


class Bulkhead:
    """One connector account in this process."""

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.breaker, self.pace = Breaker(), Pace(most)
        self.gate = Gate(len(Lane), self.has_room)

    def has_room(self, lane: int) -> bool:
        limit = int(self.pace.limit)
        kept = max(1, limit // SHARE_KEPT)
        return self.gate.count < limit and self.gate.inside[lane] < limit - kept

    def pressure(self, now: float) -> str | None:
        """Why a new payment would be refused at once; None: it would not be."""
        if self.breaker.refuses(now) is not None:
            return "it fails: its circuit breaker is open"
        if self.gate.waiting(Lane.NEW) >= LINE_MAX[Lane.NEW]:
            return "too many requests wait for it"
        return None

    def show(self) -> None:
        PSP_LIMIT.labels(self.name).set(int(self.pace.limit))
        PSP_INSIDE.labels(self.name).set(self.gate.count)
        for lane in Lane:
            PSP_WAITING.labels(self.name, lane.name.lower()).set(self.gate.waiting(lane))
        PSP_BREAKER.labels(self.name).set(list(State).index(self.breaker.state))


class Slot:
    """The right to ask one PSP once. `until` (monotonic seconds): when the caller stops waiting."""

    __slots__ = ("bulkhead", "lane", "limits", "probe", "until")

    def __init__(self, limits: "Limits", lane: Lane, until: float | None) -> None:
        self.limits, self.lane, self.until = limits, lane, until
        self.bulkhead: Bulkhead | None = None
        self.probe = False

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def move(self, account: str) -> bool:
        """Gives this slot back and takes one at another account, if that has one at once."""
        self.release()
        if self.limits.ours(account):
            return True
        bulkhead = self.limits.of(account)
        now = time.monotonic()
        if self.lane is Lane.NEW and bulkhead.breaker.refuses(now) is not None:
            return False
        if not bulkhead.gate.enter(self.lane):
            return False
        self.taken(bulkhead, now)
        return True

    def taken(self, bulkhead: Bulkhead, now: float) -> None:
        self.bulkhead = bulkhead
        self.probe = self.lane is Lane.NEW and bulkhead.breaker.admit(now)

    def release(self) -> None:
        """Once or more often."""
        if self.bulkhead is not None:
            bulkhead, self.bulkhead = self.bulkhead, None
            if self.probe:
                self.probe = bulkhead.breaker.probing = False
            bulkhead.gate.leave(self.lane)

    def timeout(self, most: float) -> float:
        """Seconds that the PSP gets: what the caller has left, but never too little and never more than `most`."""
        if self.until is None:
            return most
        return min(most, max(LEAST_SECONDS, self.until - time.monotonic()))

    async def ask(self, sending: Awaitable[Answer], *, patient: bool) -> Answer:
        """Awaits the answer, learns from it, and gives the slot back.

        `patient`: the PSP was given its whole time, so that having none of it left is its failure.
        """
        bulkhead, began = self.bulkhead, time.monotonic()
        self.limits.step_out()
        try:
            answer = await sending
            told = answer.health is not Health.UNHEARD and (patient or answer.health is not Health.LATE)
            if bulkhead is not None and told:
                now, failed = time.monotonic(), answer.health in {Health.FAILED, Health.LATE}
                congested = failed or answer.health is Health.BUSY
                bulkhead.pace.heard(answer.seconds, congested, bulkhead.gate.count, now)
                if self.limits.breaks:
                    bulkhead.breaker.heard(failed, began, now)
        finally:
            self.limits.step_back()
            self.release()
        return answer


class Limits:
    """The bulkheads of a process. `away` counts who waits for a PSP, and so does no work of ours.

    `ours`: is the account our own ledger's? Then there is nobody to spare, and each gets a slot.
    """

    def __init__(
        self,
        most: int,
        admission: Admission,
        *,
        breaks: bool = True,
        ours: Callable[[str], bool] = lambda account: False,
    ) -> None:
        self.most, self.admission, self.breaks, self.ours = most, admission, breaks, ours
        self.bulkheads: dict[str, Bulkhead] = {}
        self.away = 0

    def of(self, account: str) -> Bulkhead:
        found = self.bulkheads.get(account)
        if found is None:
            found = self.bulkheads[account] = Bulkhead(account, self.most)
        return found

    def pressure(self, account: str) -> str | None:
        bulkhead = self.bulkheads.get(account)
        return None if bulkhead is None else bulkhead.pressure(time.monotonic())

    def show(self) -> None:
        """For the metrics; not on the way of a request."""
        self.admission.show()
        for bulkhead in self.bulkheads.values():
            bulkhead.show()

    def step_out(self) -> None:
        self.away += 1
        self.admission.step_out(Rank.PAYMENT)

    def step_back(self) -> None:
        self.away -= 1
        self.admission.step_back(Rank.PAYMENT)

    async def first(self, accounts: Sequence[str], until: float | None) -> tuple[Slot, str, tuple[str, ...]]:
        """A slot for a new payment at the first of the accounts that has one: (slot, account, those behind it).

        Raises PspUnavailable, PspOverloaded, DeadlineTooShort.
        """
        try:
            return await self.take(accounts[0], Lane.NEW, until), accounts[0], tuple(accounts[1:])
        except (PspUnavailable, PspOverloaded):
            slot = Slot(self, Lane.NEW, until)
            for place, account in enumerate(accounts[1:], 2):
                if slot.move(account):
                    return slot, account, tuple(accounts[place:])
            raise

    async def take(self, account: str, lane: Lane, until: float | None = None) -> Slot:
        """Raises PspUnavailable, PspOverloaded, DeadlineTooShort. Nothing has been recorded yet."""
        slot, now = Slot(self, lane, until), time.monotonic()
        if self.ours(account):
            self.check(until)
            return slot
        bulkhead = self.of(account)
        patience = WAIT_SECONDS[lane] if until is None else min(WAIT_SECONDS[lane], until - now - LEAST_SECONDS)
        if patience <= 0:
            raise shed(bulkhead, lane, too_short())
        if lane is Lane.NEW:
            wait = bulkhead.breaker.refuses(now)
            if wait is not None:
                raise shed(bulkhead, lane, unavailable(wait))
        else:
            patience -= await self.spaced(bulkhead, patience, now)
        if not bulkhead.gate.enter(lane):
            await self.wait(bulkhead, lane, patience)
        slot.taken(bulkhead, now)
        return slot

    def check(self, until: float | None) -> None:
        """The last moment before a record. Raises DeadlineTooShort when it left the PSP too little time."""
        if until is not None and until - time.monotonic() < LEAST_SECONDS:
            raise too_short()

    async def spaced(self, bulkhead: Bulkhead, most: float, now: float) -> float:
        """While the breaker is open, what must be asked is asked one by one: after so many seconds.

        Raises PspUnavailable.
        """
        turn = bulkhead.breaker.turn(now, most)
        if turn is None:
            raise shed(bulkhead, Lane.RECOVERY, unavailable(most))
        if turn > 0:
            self.step_out()
            try:
                await asyncio.sleep(turn)
            finally:
                self.step_back()
        return turn

    async def wait(self, bulkhead: Bulkhead, lane: Lane, seconds: float) -> None:
        """In line for a slot. Raises PspOverloaded, PspUnavailable."""
        if lane is Lane.NEW:
            seconds = bulkhead.gate.patience(lane, seconds)
        self.step_out()
        try:
            if bulkhead.gate.waiting(lane) >= LINE_MAX[lane] or not await bulkhead.gate.wait(lane, seconds):
                raise shed(bulkhead, lane, PspOverloaded("too many requests wait for this PSP", retry_after=2))
        finally:
            self.step_back()
        wait = bulkhead.breaker.refuses(time.monotonic()) if lane is Lane.NEW else None
        if wait is not None:  # It opened while we waited.
            bulkhead.gate.leave(lane)
            raise shed(bulkhead, lane, unavailable(wait))


def too_short() -> DeadlineTooShort:
    return DeadlineTooShort(
        f"a PSP gets {LEAST_SECONDS:g} seconds at least, and Request-Timeout leaves less", param="Request-Timeout"
    )


def unavailable(seconds: float) -> PspUnavailable:
    return PspUnavailable("this PSP fails; nothing was sent to it", retry_after=max(1, round(seconds)))


def shed(bulkhead: Bulkhead, lane: Lane, problem: Problem) -> Problem:
    PSP_SHED.labels(bulkhead.name, lane.name.lower(), problem.code).inc()
    return problem
