"""PostgreSQL stops, is killed or hangs up in the middle of load, over and over; and the clocks of our processes jump."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from scrooge.postgres.cluster import account, launch
from scrooge.postgres.embedded import Embedded
from tests.faults.cells import CONNECTORS, OPERATIONS, Cell
from tests.faults.driver import drive, prepared
from tests.faults.episode import Episode
from tests.faults.lane import Lane

COPIES = 2  # of every operation at every PSP, at once
Break = Callable[["Outages"], Awaitable[None]]


class Outages(Episode):
    """All operations at both PSPs at once, and the database breaks among them. It needs a server of its own."""

    def __init__(self, lane: Lane, server: Embedded, seed: int) -> None:
        super().__init__(lane, "any", "database outages", [], seed)
        self.server = server
        self.result.reached = dict.fromkeys(PLACES, 0)

    async def run(self) -> Any:
        started = time.monotonic()
        self.calm.set()
        for name, happen in BREAKS.items():
            await self.broken(name, happen)
        await self.settle()
        self.result.payments = len(self.orders)
        self.result.seconds = time.monotonic() - started
        return self.result

    async def broken(self, name: str, happen: Break) -> None:
        lane = self.lane
        await lane.begin("serve", SCROOGE_PSP_TIMEOUT_SECONDS="15")
        cells = [Cell(name, operation, "normal", "retries", psp) for operation in OPERATIONS for psp in CONNECTORS]
        orders = [await prepared(lane, cell, f"out-{uuid.uuid4().hex[:12]}") for cell in cells for _ in range(COPIES)]
        self.orders += orders
        await self.read_all()
        await lane.begin("serve")
        await lane.begin("worker")
        tasks = [asyncio.create_task(drive(lane, order, self.calm, self.until)) for order in orders]
        self.tasks += tasks
        await asyncio.sleep(0.06)
        for task, order in zip(tasks, orders, strict=True):
            self.result.reached[f"{name} / {order.cell.operation}"] += not task.done()
        await happen(self)
        await asyncio.wait(tasks, timeout=60)

    def backends(self) -> list[psutil.Process]:
        return psutil.Process(self.server.pid).children()

    async def restart(self) -> None:
        """Starts the server again once nothing of the old one is left."""
        folder = self.server.folder
        while psutil.pid_exists(self.server.pid) and psutil.Process(self.server.pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.05)
        pid = await asyncio.to_thread(launch, folder, account(folder))
        self.server = Embedded(self.server.url, pid, folder, self.server.lease)


async def immediate(outages: Outages) -> None:
    os.kill(outages.server.pid, signal.SIGQUIT)
    await outages.restart()


async def fast(outages: Outages) -> None:
    os.kill(outages.server.pid, signal.SIGINT)
    await outages.restart()


async def killed(outages: Outages) -> None:
    children = outages.backends()
    os.kill(outages.server.pid, signal.SIGKILL)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    await outages.restart()


async def one_killed(outages: Outages) -> None:
    """A backend that dies takes all others with it: the server recovers by itself."""
    busy = [child for child in outages.backends() if "scrooge" in " ".join(child.cmdline())]
    outages.draw.choice(busy or outages.backends()).kill()
    await asyncio.sleep(1)


async def hung_up(outages: Outages) -> None:
    for child in outages.backends():
        try:
            if "scrooge" in " ".join(child.cmdline()):
                child.terminate()
        except psutil.NoSuchProcess:
            continue


BREAKS: dict[str, Break] = {
    "immediate shutdown": immediate, "fast shutdown": fast, "server killed": killed, "one backend killed": one_killed,
    "sessions ended": hung_up,
}  # fmt: skip
PLACES = [f"{name} / {operation}" for name in BREAKS for operation in OPERATIONS]
