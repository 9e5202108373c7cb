"""PostgreSQL stops, is killed or hangs up in the middle of load, over and over; the vault is away, or its database."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil

from scrooge.postgres.cluster import account, launch
from scrooge.postgres.embedded import Embedded
from tests.faults.cells import CONNECTORS, OPERATIONS, Cell, why_not
from tests.faults.driver import drive, prepared
from tests.faults.episode import Episode
from tests.faults.lane import Lane

HANG_UP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
AWAY_SECONDS = 3.0
Break = Callable[["Outages"], Awaitable[None]]


class Outages(Episode):
    """All operations at both PSPs at once, and the database breaks among them. It needs a server of its own."""

    def __init__(self, lane: Lane, server: Embedded, seed: int) -> None:
        super().__init__(lane, "any", "database outages", [], seed)
        self.server = server
        self.result.reached = dict.fromkeys(PLACES, 0)
        self.result.reached.update(dict.fromkeys(VAULT_PLACES, 0))

    async def run(self) -> Any:
        started = time.monotonic()
        self.calm.set()
        for name, happen in {**BREAKS, **VAULT_BREAKS}.items():
            await self.broken(name, happen)
        await self.settle()
        self.result.payments = len(self.orders)
        self.result.seconds = time.monotonic() - started
        return self.result

    async def broken(self, name: str, happen: Break) -> None:
        lane = self.lane
        await lane.begin("serve", SCROOGE_PSP_TIMEOUT_SECONDS="15")
        orders = [await prepared(lane, cell, f"out-{uuid.uuid4().hex[:12]}") for cell in cells_of(name)]
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

    async def vault_database(self, statement: str) -> None:
        """Something that a superuser does to the vault's database."""
        database = urlsplit(self.lane.house.database_url).path[1:]
        connection = await asyncpg.connect(self.server.url)
        try:
            await connection.execute(statement.format(database=database))
            await connection.execute(HANG_UP, database)
        finally:
            await connection.close()

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


async def vault_killed(outages: Outages) -> None:
    await outages.lane.end("vault")
    await asyncio.sleep(AWAY_SECONDS)
    await outages.lane.begin("vault")


async def vault_frozen(outages: Outages) -> None:
    life = outages.lane.lives["vault"]
    life.signal(signal.SIGSTOP)
    await asyncio.sleep(AWAY_SECONDS)
    life.signal(signal.SIGCONT)


async def vault_sessions(outages: Outages) -> None:
    await outages.vault_database("SELECT 1")


async def vault_database(outages: Outages) -> None:
    await outages.vault_database("ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    await asyncio.sleep(AWAY_SECONDS)
    await outages.vault_database("ALTER DATABASE {database} ALLOW_CONNECTIONS true")


BREAKS: dict[str, Break] = {
    "immediate shutdown": immediate, "fast shutdown": fast, "server killed": killed, "one backend killed": one_killed,
    "sessions ended": hung_up,
}  # fmt: skip
VAULT_BREAKS: dict[str, Break] = {
    "vault killed": vault_killed, "vault frozen": vault_frozen, "vault's sessions ended": vault_sessions,
    "vault's database away": vault_database,
}  # fmt: skip
PLACES = [f"{name} / {operation}" for name in BREAKS for operation in OPERATIONS]
VAULT_PLACES = [f"{name} / {operation}" for name in VAULT_BREAKS for operation in OPERATIONS[:2] + OPERATIONS[-2:]]


def cells_of(name: str) -> list[Cell]:
    """Of every operation at every PSP two, one of them by a card; where the vault breaks all by cards."""
    means = [("token", "card"), ("card", "coded")][name in VAULT_BREAKS]
    cells = [
        Cell(name, operation, "normal", "retries", psp, card)
        for operation in OPERATIONS for psp in CONNECTORS for card in means
        if why_not({"operation": operation, "connector": psp, "card": card}) is None
    ]  # fmt: skip
    return [c for c in cells if name not in VAULT_BREAKS or f"{name} / {c.operation}" in VAULT_PLACES]
