"""One worker's part in a running batch: takes chunks of it, and keeps as many of their lines in the air as PSPs take.

Nothing here is kept for long: a line that has ended is written, a line that has not is found again by whoever takes the
chunk next. So it may be stopped or killed anywhere, and as many workers as there are may do it at once.
"""

import asyncio
import heapq
import time
from collections import deque
from itertools import count
from uuid import UUID

import structlog
from msgspec import Struct

from scrooge.connectors.limits import LEAST_SECONDS
from scrooge.crash import reach
from scrooge.domain.attempt import State
from scrooge.domain.payment import authorization_of
from scrooge.errors import DatabaseUnavailable, PspOverloaded, PspUnavailable
from scrooge.flows.batches.ahead import Ahead
from scrooge.flows.batches.line import Later, known, sent
from scrooge.flows.batches.settle import told
from scrooge.flows.batches.turn import Turn
from scrooge.flows.scrooge import Scrooge, now
from scrooge.metrics import BATCH_LINES
from scrooge.routing.pacing import Pacer, Pacing
from scrooge.storage import chunks
from scrooge.storage.batches import Batch
from scrooge.storage.chunks import LINES, Chunk, End, Line, Standing
from scrooge.storage.directory import Principal

log = structlog.get_logger()
LEASE_SECONDS = 30.0
RENEWED_SECONDS = 8.0  # A lease that nobody renews for as long is worth no new payment.
HEARD_SECONDS = 2.0  # without word that the batch still runs, nothing is begun
TICK_SECONDS, KEEP_SECONDS = 0.02, 0.25
TOLD_SECONDS = 1.0  # between two times that lines of a chunk are said to have ended
COUNTED_SECONDS = 1.5  # between two counts of a chunk that is under way
FIRST, MOST = 32, 512  # lines in the air: until an account is known, and ever
SHARE = 0.75  # of an account's slots: the others are for whoever does not wait for a batch
STAGES = 3  # of a line's way: recorded, asked, applied; each has its part of those in the air
ENDED = {name: BATCH_LINES.labels(name) for name in ("existing", "refused", "sent")}
RECENT = 64  # endings that say which accounts the batch goes to
DOWN_SECONDS = 10.0  # nobody takes a payment for so long: that is an alarm


class Hand(Struct):
    """A chunk in our hands: `until` (monotonic seconds) is ours to begin lines of it."""

    chunk: Chunk
    left: int
    until: float
    ends: list[End]
    told_at: float = 0.0
    counted_at: float = 0.0


class Run:
    """`see` tells it every half second that the batch still runs; without that it ends by itself."""

    def __init__(self, s: Scrooge, worker: UUID, batch: Batch, merchant: str) -> None:
        self.s, self.worker, self.batch = s.patient(), worker, batch
        self.s.reader = self.ahead = Ahead(s.reader)
        self.who = Principal("", batch.merchant, merchant, batch.caller, "", frozenset(), batch.livemode)
        pacing = batch.pacing
        self.pacer = Pacer(
            Pacing(in_all=pacing.max_tps, of_account=pacing.per_connector, of_bin=pacing.per_bin)
        )  # fmt: skip
        self.hands: dict[int, Hand] = {}
        self.waiting: list[tuple[float, int, int, Line, bool]] = []  # when, order, chunk, line, has had its turn
        self.order = count()
        self.most = FIRST
        self.air: set[asyncio.Task[None]] = set()
        self.accounts: deque[str] = deque(maxlen=RECENT)
        self.states: deque[State] = deque(maxlen=RECENT)  # what was heard there
        self.heard_at, self.stopped, self.nothing_left = time.monotonic(), False, False
        self.down_since: float | None = None
        self.down_because = ""
        self.next_at = 0.0  # of the whole batch, where it is paced
        self.wake = asyncio.Event()

    # --- told from outside ------------------------------------------------------------------

    def see(self, batch: Batch, standing: Standing) -> None:
        self.heard_at, self.batch = time.monotonic(), batch
        self.pacer.shared(max(1, standing.workers), self.heard_at)

    def stop(self) -> None:
        self.stopped = True
        self.wake.set()

    def going(self) -> bool:
        late = self.batch.deadline is not None and now() >= self.batch.deadline
        return not self.stopped and not late and time.monotonic() - self.heard_at < HEARD_SECONDS

    # --- the work ---------------------------------------------------------------------------

    async def drive(self) -> None:
        """Until it is stopped, or there is nothing left to claim and nothing in the air."""
        self.who = await self.principal()
        keeping = asyncio.create_task(self.keep())
        try:
            while self.going():
                if len(self.waiting) < self.room() and not self.nothing_left:
                    await self.claim()
                if self.nothing_left and not self.hands:
                    break
                self.begin()
                self.wake.clear()
                try:
                    await asyncio.wait_for(self.wake.wait(), TICK_SECONDS)
                except TimeoutError:
                    continue
        finally:
            self.waiting.clear()
            if self.air:
                await asyncio.wait(self.air)
            keeping.cancel()
            await self.give_back()

    async def principal(self) -> Principal:
        name = await self.s.directory.caller_name(self.batch.caller)
        b = self.batch
        return Principal("", b.merchant, self.who.merchant_name, b.caller, name, frozenset(), b.livemode)

    def room(self) -> int:
        """Lines in the air at once: what the accounts that they go to take, and less."""
        used = {a for a in self.accounts if a in self.s.limits.bulkheads}
        if not used:
            return FIRST
        return min(MOST, max(4, int(SHARE * sum(self.s.limits.of(a).pace.limit for a in used))))

    async def claim(self) -> None:
        """One chunk more; what of it was begun before is told at once."""
        asked = time.monotonic()
        chunk = await chunks.claim(self.s.db, self.batch.id, self.worker, LEASE_SECONDS)
        if chunk is None:  # Others may have what is left. If they die, we are begun anew.
            self.nothing_left = True
            return
        reach("batch.claimed")
        lines = await chunks.lines(self.s.db, chunk)
        before = await known(self.s.db, self.batch, lines)
        await self.ahead.read(self.s.db, [line.mandate for line in lines if line.number not in before])
        hand = self.hands[chunk.number] = Hand(chunk, len(lines), asked + LEASE_SECONDS - RENEWED_SECONDS, [])
        for line in lines:
            end = before.get(line.number)
            if end is not None:
                self.note(hand, end)
            else:
                heapq.heappush(self.waiting, (0.0, next(self.order), chunk.number, line, False))

    def begin(self) -> None:
        """As many hands as there is room for, each of which takes line after line."""
        self.most = self.room()
        self.s.writer.company = max(1, self.most // STAGES)
        wanted = min(self.most - len(self.air), self.ready_count())
        if self.pacer.all is not None:
            wanted = min(wanted, 1 + int(self.pacer.all.rate * TICK_SECONDS))
        for _ in range(wanted):
            task = asyncio.create_task(self.work())
            self.air.add(task)
            task.add_done_callback(self.landed)

    def ready_count(self) -> int:
        """How many lines may be begun now, or as many as matter."""
        at = time.monotonic()
        if self.next_at > at:
            return 0
        return len(self.waiting) if not self.waiting or self.waiting[0][0] <= at else 0

    def landed(self, task: asyncio.Task[None]) -> None:
        self.air.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("batch_worker_failed", batch=self.batch.id, error=type(error).__name__, exc_info=error)
        self.wake.set()

    async def work(self) -> None:
        """Line after line, while there are any and room for us."""
        while self.going() and len(self.air) <= self.most:
            found = self.next()
            if found is None:
                return
            await self.one(*found)
            if len(self.waiting) < LINES // 4:
                self.wake.set()

    def next(self) -> tuple[Hand, Line, bool] | None:
        """The next line whose turn it is, of a chunk that is still ours."""
        at = time.monotonic()
        if self.next_at > at:
            return None
        while self.waiting and self.waiting[0][0] <= at:
            _, _, number, line, paced = heapq.heappop(self.waiting)
            hand = self.hands.get(number)
            if hand is None:
                continue
            if hand.until - at <= LEAST_SECONDS:  # until its lease is renewed
                heapq.heappush(self.waiting, (at + KEEP_SECONDS, next(self.order), number, line, paced))
                continue
            if not paced:
                self.next_at = self.pacer.next(at)
            return hand, line, paced
        return None

    async def one(self, hand: Hand, line: Line, paced: bool) -> None:
        turn = Turn(self.pacer, self.s.limits, self.going, paced)
        try:
            done = await sent(self.s, self.who, self.batch, line, hand.until, turn.first)
        except Later as later:
            self.later(hand, line, later, turn.paced)
            return
        except Exception as error:  # What was recorded is found again; the line comes back.
            log.error("line_failed", batch=self.batch.id, line=line.number, error=type(error).__name__, exc_info=True)
            self.later(hand, line, Later(time.monotonic() + HEARD_SECONDS), True)
            return
        self.down_since = None
        if done.payment is not None and (asked := authorization_of(done.payment)) is not None:
            self.accounts.append(asked.connector_account)
            self.states.append(asked.state)
        self.note(hand, done.end)

    def later(self, hand: Hand, line: Line, later: Later, paced: bool) -> None:
        if later.down in {PspUnavailable.code, PspOverloaded.code} and self.down_since is None:
            self.down_since, self.down_because = time.monotonic(), later.down or ""
        heapq.heappush(self.waiting, (later.at, next(self.order), hand.chunk.number, line, paced))

    def note(self, hand: Hand, end: End) -> None:
        hand.ends.append(end)
        hand.left -= 1
        ENDED["existing" if end.existing else "refused" if end.error else "sent"].inc()

    # --- what is kept of it -----------------------------------------------------------------

    async def keep(self) -> None:
        """Writes what has ended and renews what is in hand, for as long as lines are in the air."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            try:
                for hand in list(self.hands.values()):
                    if hand.left == 0 or time.monotonic() - hand.told_at > TOLD_SECONDS:
                        await self.written(hand)
                if time.monotonic() - renewed > RENEWED_SECONDS:
                    renewed = time.monotonic()
                    await self.renew(renewed)
            except DatabaseUnavailable as error:
                log.warning("batch_not_kept", batch=self.batch.id, reason=error.detail)
            except Exception as error:  # It is tried again; if that never works, the leases end.
                log.error("batch_not_kept", batch=self.batch.id, error=type(error).__name__, exc_info=True)

    async def written(self, hand: Hand) -> None:
        """What has ended of a chunk; and that all of it has."""
        ends, hand.told_at = list(hand.ends), time.monotonic()
        if ends:
            reach("batch.ended")
            await told(self.s, self.batch, hand.chunk, ends)
            del hand.ends[: len(ends)]
            reach("batch.noted")
        whole, at = hand.left == 0 and not hand.ends, time.monotonic()
        if whole or (ends and at - hand.counted_at > COUNTED_SECONDS):
            hand.counted_at = at
            await chunks.recount(self.s.db, self.batch.id, hand.chunk.number, done=whole)
        if whole:
            self.hands.pop(hand.chunk.number, None)
            reach("batch.counted")
            self.wake.set()

    async def renew(self, at: float) -> None:
        if not self.hands:
            return
        ours = await chunks.renew(self.s.db, [h.chunk for h in self.hands.values()], LEASE_SECONDS)
        for number, hand in list(self.hands.items()):
            if (self.batch.id, number) in ours:
                hand.until = at + LEASE_SECONDS - RENEWED_SECONDS
            else:  # Somebody else goes on with it.
                log.warning("chunk_lost", batch=self.batch.id, chunk=number)
                del self.hands[number]

    async def give_back(self) -> None:
        try:
            for hand in list(self.hands.values()):
                await self.written(hand)
            for hand in list(self.hands.values()):
                await chunks.let_go(self.s.db, hand.chunk)
        except DatabaseUnavailable as error:  # Its lease will end.
            log.warning("batch_not_kept", batch=self.batch.id, reason=error.detail)
