"""Zombies: a process is frozen at a crash point for one and a half times every deadline while others act in its place,
and then it goes on as if nothing had happened."""

import asyncio
import signal
import time
from pathlib import Path

from tests.faults.cells import CARDS, CONNECTORS, OPERATIONS, POINTS, Cell, why_not
from tests.faults.driver import Order
from tests.faults.episode import DEATH_SECONDS, Episode
from tests.faults.processes import Life

FROZEN_SECONDS = 4.5  # the PSP's deadline is one second, the handler's three
AWAKE_SECONDS = 1.5


def zombie_cells() -> list[Cell]:
    """Every point with every operation; the PSPs take turns."""
    pairs = [(point, operation) for point in POINTS for operation in OPERATIONS]
    return [
        Cell(point, operation, "frozen", "retries", psp, card)
        for n, (point, operation) in enumerate(pairs)
        for psp, card in [turn(n, point, operation)]
        if why_not({"point": point, "operation": operation}) is None
    ]


def turn(n: int, point: str, operation: str) -> tuple[str, str]:
    """PSPs and cards take turns, as far as they can be."""
    turns = [(CONNECTORS[(n + k) % 2], CARDS[(n + k) // 2 % 3]) for k in range(6)]
    return next(
        (
            (psp, card)
            for psp, card in turns
            if why_not({"point": point, "operation": operation, "connector": psp, "card": card}) is None
        ),
        turns[0],
    )


class Zombies(Episode):
    """Like an episode, but what is armed freezes, and a second `serve` and a worker are there meanwhile."""

    async def in_serve(self, cell: Cell, orders: list[Order]) -> bool:
        lane = self.lane
        await lane.begin("second")
        life = await lane.begin("serve", SCROOGE_CRASH_POINT=f"{cell.point}:1:stop")
        self.give(orders)
        frozen = await self.until_true(lambda: stopped(life), DEATH_SECONDS)
        await self.meanwhile(life, "worker")
        return frozen

    async def in_vault(self, cell: Cell, orders: list[Order]) -> bool:
        """No other vault is there meanwhile: what the frozen one was asked, it may do when it wakes."""
        await self.lane.begin("second")
        await self.lane.begin("serve")
        life = await self.armed_vault(cell, orders, f"{cell.point}:1:stop")
        self.give(orders)
        frozen = await self.until_true(lambda: stopped(life), DEATH_SECONDS)
        await self.meanwhile(life, "worker")
        return frozen

    async def in_worker(self, cell: Cell, orders: list[Order]) -> bool:
        lane = self.lane
        if not await self.claimable(cell, orders):
            return False
        before = await self.claims(orders)
        life = await lane.begin("worker", SCROOGE_CRASH_POINT=f"{cell.point.removeprefix('worker ')}:1:stop")
        frozen = await self.until_true(lambda: stopped(life), 2 * DEATH_SECONDS)
        await lane.no_faults()
        theirs = await self.claims(orders) > before
        await self.meanwhile(life, "spare")
        return frozen and theirs

    async def meanwhile(self, life: Life, other: str) -> None:
        """A sound worker acts on everything, callers ask the second `serve`; then the dead one wakes."""
        lane, url = self.lane, self.lane.api_url
        await lane.begin(other)
        if other == "worker":
            lane.api_url = f"http://127.0.0.1:{lane.second_port}"
        self.calm.set()
        until = time.monotonic() + FROZEN_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(0.1)
        life.signal(signal.SIGCONT)
        await asyncio.sleep(AWAKE_SECONDS)
        self.calm.clear()
        lane.api_url = url
        await lane.end(other)
        await lane.end("worker")
        await lane.end("second")


async def stopped(life: Life) -> bool:
    """Is it frozen by SIGSTOP? proc(5): the state is the first field after the name in parentheses."""
    try:
        return Path(f"/proc/{life.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
