"""An episode: one operation under one PSP behavior. Processes die at one crash point after another while it is in
flight; then the faults stop, the worker drains, and the oracle judges."""

import asyncio
import time
from random import Random
from typing import Any

from msgspec import Struct, field

from scrooge.postgres.rows import public
from scrooge.sandbox.faults import KINDS
from tests.faults import oracle
from tests.faults.cells import RETURNS, VAULT, Cell, by_worker
from tests.faults.driver import Order, drive, payer, prepared, verifications_of
from tests.faults.lane import Lane
from tests.faults.processes import Life

ORDERS = 6  # per cell
RATE = 0.7  # of the occasions on which a fault may strike
TRIES = 4
DEATH_SECONDS = 10.0
DUE_SECONDS = 20.0
DRAIN_SECONDS = 120.0
ASKED_SECONDS = 4.0  # The worker's first questions meet the fault too.
LATE_MS = 5000
SEEDS = ("send.before", "send.written", "send.after")  # crashes of `serve` that leave an attempt in doubt


class Result(Struct):
    """`reached`: how many processes died in each cell; `struck`: how often the PSP's fault really struck."""

    operation: str
    behavior: str
    reached: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    payments: int = 0
    deaths: int = 0
    struck: int = 0
    seconds: float = 0.0


class Episode:
    """State of one episode in one lane; `run` is its whole life."""

    def __init__(self, lane: Lane, operation: str, behavior: str, cells: list[Cell], seed: int) -> None:
        self.lane, self.cells, self.draw = lane, cells, Random(f"{seed}/{operation}/{behavior}")
        self.result = Result(operation, behavior, {str(cell): 0 for cell in cells})
        self.orders: list[Order] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.calm = asyncio.Event()
        self.until = time.monotonic() + 600
        self.made = self.turn = 0

    async def run(self) -> Result:
        started = time.monotonic()
        lane, behavior = self.lane, self.result.behavior
        await lane.no_faults()
        if behavior == "inquiry_lag":  # It strikes payments when they are made, so also those prepared.
            await lane.behave(behavior, RATE, self.draw.getrandbits(30))
        struck = await lane.struck(behavior)
        cells = sorted(self.cells, key=lambda cell: by_worker(cell.point), reverse=True)
        for self.turn in range(TRIES):
            due = [cell for cell in cells if not self.result.reached[str(cell)]]
            if due:
                await self.tried(due)
        await self.settle()
        self.result.struck = await lane.struck(behavior) - struck
        self.result.payments = len(self.orders)
        self.result.seconds = time.monotonic() - started
        return self.result

    async def tried(self, cells: list[Cell]) -> None:
        """Prepares what the cells need while nothing is wrong, then lets them happen one after another."""
        lane, behavior = self.lane, self.result.behavior
        await lane.begin("serve", SCROOGE_PSP_TIMEOUT_SECONDS="15")  # Whatever else the machine does.
        if behavior != "inquiry_lag":
            await lane.no_faults()
        orders = {cell: await self.prepared(cell) for cell in cells}
        await self.read_all(webhooks=any(cell.point.startswith("webhook") for cell in cells))
        await self.usual()
        self.calm.clear()
        for cell in cells:
            happened = self.in_worker if by_worker(cell.point) else self.in_serve
            if cell.point in VAULT:
                happened = self.in_vault
            if await happened(cell, orders[cell]):
                self.result.reached[str(cell)] += 1
                self.result.deaths += 1

    async def usual(self) -> None:
        """The PSP's behavior in this episode, and no other."""
        behavior = self.result.behavior
        if behavior in KINDS:
            rate = RATE if self.turn < TRIES - 1 else RATE / 2
            await self.lane.behave(behavior, rate, self.draw.getrandbits(30))

    async def prepared(self, cell: Cell) -> list[Order]:
        self.made += 1
        tag = f"{cell.operation}-{cell.behavior}-{self.made}"
        names = [f"{tag}-{n}-x{self.draw.getrandbits(32):08x}" for n in range(ORDERS)]
        orders = list(await asyncio.gather(*(prepared(self.lane, cell, name) for name in names)))
        self.orders += orders
        return orders

    async def read_all(self, *, webhooks: bool = False) -> None:
        """The news of what was prepared is applied before the faults begin; then nobody works until somebody dies."""
        await asyncio.sleep(0.3)
        if webhooks or await self.lane.doubt():
            await self.lane.begin("worker")
            await self.until_true(self.nothing_open, 3 if self.tasks else 15)
        if webhooks:
            await self.until_true(self.all_told, 3 if self.tasks else 15)
        await self.lane.end("worker")

    async def nothing_open(self) -> bool:
        return not await self.lane.doubt()

    async def all_told(self) -> bool:
        return not await self.lane.undelivered()

    def give(self, orders: list[Order]) -> None:
        self.tasks += [asyncio.create_task(drive(self.lane, order, self.calm, self.until)) for order in orders]

    # --- deaths -------------------------------------------------------------------------------

    async def in_serve(self, cell: Cell, orders: list[Order]) -> bool:
        """Only this cell's orders reach the process that is armed, so what it dies of is one of them."""
        return await self.dies(cell.point, orders, self.times())

    def times(self) -> int:
        """The how-manieth to die of; the first when it was not reached before."""
        return self.draw.randint(1, 3) if self.turn == 0 else 1

    async def dies(self, point: str, orders: list[Order], times: int) -> bool:
        life = await self.lane.begin("serve", SCROOGE_CRASH_POINT=f"{point}:{times}")
        self.give(orders)
        return await life.died(DEATH_SECONDS) and life.ended.result() == -9

    async def in_vault(self, cell: Cell, orders: list[Order]) -> bool:
        """Only this cell's requests are filled by the vault that is armed."""
        await self.lane.begin("serve")
        life = await self.armed_vault(cell, orders, f"{cell.point}:{self.times()}")
        self.give(orders)
        died = await life.died(DEATH_SECONDS) and life.ended.result() == -9
        await self.lane.begin("vault")
        return died

    async def armed_vault(self, cell: Cell, orders: list[Order], point: str) -> Life:
        """What the one before it sealed of security codes, no other can open: so the cards are given anew."""
        life = await self.lane.begin("vault", SCROOGE_CRASH_POINT=point)
        if cell.card == "coded":
            for order in orders:
                card = await payer(self.lane, cell)
                if cell.operation == "verify":
                    order.path = verifications_of(card)
                else:
                    order.body["instrument"] = card
        return life

    async def in_worker(self, cell: Cell, orders: list[Order]) -> bool:
        """The worker that dies has claimed something of this cell's."""
        if not await self.claimable(cell, orders):
            return False
        before = await self.claims(orders)
        life = await self.lane.begin("worker", SCROOGE_CRASH_POINT=cell.point.removeprefix("worker "))
        died = await life.died(2 * DEATH_SECONDS)
        await self.lane.end("worker")
        if cell.point in RETURNS:
            await self.lane.no_faults()
            await self.usual()
        return died and life.ended.result() == -9 and await self.claims(orders) > before

    async def claimable(self, cell: Cell, orders: list[Order]) -> bool:
        """Until there is something of this cell's for a worker: news, an event, or a doubt that a crash has left."""
        if cell.point.startswith(("receive", "webhook")):
            await self.lane.begin("serve")
            self.give(orders)
            if cell.point.startswith("webhook"):  # What has no event yet gets one by the worker itself.
                await asyncio.sleep(1)
                return True
            return await self.until_true(lambda: self.news_of(orders), DUE_SECONDS)
        twice = cell.point in RETURNS
        if twice:
            await self.taken_twice()
        # What is taken twice was taken; of a cascade, at the second PSP.
        point = "send.after" if twice else self.draw.choice(SEEDS)
        if not await self.dies(point, orders, self.times() + (ORDERS if twice and cell.operation == "cascade" else 0)):
            return False
        await self.lane.begin("serve")
        return await self.until_true(lambda: self.due(orders), DUE_SECONDS)

    async def taken_twice(self) -> None:
        """From now on the PSPs do again what is asked again, before they tell that they had done it."""
        await self.lane.behave("broken_idempotency", 1, 1)
        await self.lane.fault("late_notification", 1, seed=1, delay_ms=LATE_MS)

    async def due(self, orders: list[Order]) -> bool:
        row = await self.lane.row(
            "SELECT count(*) AS n FROM attempts a JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id"
            " WHERE p.reference = ANY($1) AND a.state IN ('sent', 'unknown') AND a.ask_at <= now()",
            [order.reference for order in orders],
        )
        return bool(row["n"])

    async def news_of(self, orders: list[Order]) -> bool:
        return bool(await self.news(orders, "state = 'unread' AND due_at <= now()"))

    async def news(self, orders: list[Order], where: str) -> list[Any]:
        names = [order.reference for order in orders]
        rows = await self.lane.db.fetch(
            "SELECT p.id, a.psp_reference FROM payments p JOIN attempts a ON a.bucket = p.bucket AND a.payment_id = p.id"
            " WHERE p.reference = ANY($1)",
            names,
        )
        ours = {name for row in rows for name in (public("pay", row["id"]), row["psp_reference"]) if name}
        found = await self.lane.db.fetch(f"SELECT item::text AS item, tries FROM inbox WHERE {where}")
        return [row for row in found if any(name in row["item"] for name in ours)]

    async def claims(self, orders: list[Order]) -> int:
        """How often a worker has taken anything of these orders into its hands."""
        row = await self.lane.row(
            "SELECT coalesce(sum(a.asks), 0) AS n FROM attempts a JOIN payments p"
            " ON p.bucket = a.bucket AND p.id = a.payment_id WHERE p.reference = ANY($1)",
            [order.reference for order in orders],
        )
        sent = await self.lane.row(
            "SELECT coalesce(sum(d.tries), 0) + count(*) AS n FROM webhook_deliveries d JOIN payments p"
            " ON p.id = d.payment_id WHERE p.reference = ANY($1)",
            [order.reference for order in orders],
        )
        return int(row["n"]) + int(sent["n"]) + sum(row["tries"] for row in await self.news(orders, "true"))

    # --- the end ------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Callers come back while the faults are still on, then these stop, the worker drains, the oracle judges."""
        lane = self.lane
        await lane.begin("vault")
        await lane.begin("serve")
        await lane.begin("worker")
        self.calm.set()
        await asyncio.sleep(ASKED_SECONDS if self.result.behavior in KINDS else 0)
        await lane.no_faults()
        self.until = time.monotonic() + 60
        _, late = await asyncio.wait(self.tasks, timeout=60) if self.tasks else (set(), set())
        wrong = [f"{len(late)} callers never got an answer"] if late else []
        for task in late:
            task.cancel()
        wrong += [f"caller: {task.exception()!r}" for task in self.tasks if task.done() and task.exception()]
        if not await self.until_true(self.nothing_open, DRAIN_SECONDS):
            wrong.append(f"not drained in {DRAIN_SECONDS:.0f} s: {await self.left()}")
        wrong += await oracle.money(lane)
        wrong += await oracle.promises(lane, self.orders)
        wrong += await oracle.cards(lane)
        told, lane.cursor = await oracle.announced(lane, lane.told, lane.cursor)
        self.result.violations = wrong + told
        await lane.end("worker")

    async def left(self) -> list[str]:
        """What is still in doubt, with its cell."""
        rows = await self.lane.db.fetch(
            "SELECT p.reference, a.state, a.asks FROM payments p JOIN attempts a ON a.bucket = p.bucket"
            " AND a.payment_id = p.id WHERE a.state IN ('sent', 'unknown', 'reversing')"
        )
        cells = {order.reference: order.cell for order in self.orders}
        return [f"{r['reference']} ({cells.get(r['reference'])}) {r['state']}, asked {r['asks']} times" for r in rows]

    async def until_true(self, ready: Any, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not await ready():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True


def episodes_of(cells: list[Cell]) -> dict[tuple[str, str], list[Cell]]:
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.operation, cell.behavior), []).append(cell)
    return found
