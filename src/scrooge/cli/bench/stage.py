"""One stage: a fresh database, serve, worker and a PSP as processes, and measured rounds of load on them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct, structs

from scrooge.cli.bench import sampled
from scrooge.cli.bench.crew import Crew, CrewError, loader
from scrooge.cli.bench.load import Plan, Seen
from scrooge.cli.bench.profile import by_place
from scrooge.cli.bench.result import Round, per_payment, percentiles
from scrooge.cli.bench.server import Server, ask, fresh_database, opened, postmaster, wal_bytes, write_transactions
from scrooge.cli.bench.shop import Shop, open_shop
from scrooge.cli.bench.usage import meter, rss_mb
from scrooge.cli.database import audited as audit
from scrooge.cli.demo.ports import free_ports
from scrooge.storage import condition

HOST = "127.0.0.1"
QUIET_SECONDS = 120.0
WATCH_SECONDS = 1.0


class Setup(Struct, frozen=True, kw_only=True):
    """What runs: which PSP, how many serving processes, how long the PSP takes, and the environment of all."""

    psp: str  # "minimal" or "sandbox"
    workers: int
    latency_ms: float
    environment: Mapping[str, str]
    profile: Path | None = None  # where the process that is looked at writes what it spends its CPU time on
    looked_at: str = "serve"  # or "worker"


class Stage:
    """Everything is up, and payments can be made."""

    def __init__(self, where: Server, setup: Setup, url: str, ports: list[int], crew: Crew) -> None:
        self.where, self.setup, self.url, self.crew = where, setup, url, crew
        self.port, self.psp_url = ports[0], f"http://{HOST}:{ports[1]}"
        self.api_url = f"http://{HOST}:{self.port}"
        self.run = secrets.token_hex(3)
        self.loads = 0
        self.rss: list[float] = []
        self.shop: Shop

    async def open(self) -> None:
        psp_port = self.psp_url.rpartition(":")[2]
        latency = str(self.setup.latency_ms)
        psp = ("scrooge.cli.bench.psp", psp_port, latency)
        if self.setup.psp == "sandbox":
            psp = ("scrooge", "sandbox", "--port", psp_port, "--latency-ms", latency)
        serve = ("serve", "--port", str(self.port), "--workers", str(self.setup.workers))
        start = self.crew.start
        await asyncio.to_thread(start, "psp", *psp, ready=f"{self.psp_url}/healthz")
        await asyncio.to_thread(start, "serve", self.program("serve"), *serve, ready=f"{self.api_url}/readyz")
        await asyncio.to_thread(start, "worker", self.program("worker"), "worker", ready="")
        self.shop = await open_shop(self.url, self.api_url, self.psp_url, notified=self.setup.psp == "sandbox")

    def program(self, name: str) -> str:
        looked_at = self.setup.profile is not None and self.setup.looked_at == name
        return "scrooge.cli.bench.sampled" if looked_at else "scrooge"

    def plan(self, clients: int, seconds: float, **more: Any) -> Plan:
        """References of each load are its own."""
        self.loads += 1
        run = f"{self.run}{self.loads:04d}"
        return Plan(
            host=HOST, port=self.port, key=self.shop.key, instruments=self.shop.instruments, run=run,
            clients=clients, seconds=seconds, **more,
        )  # fmt: skip

    async def warm(self, clients: int, seconds: float, payments: int | None = None) -> None:
        """Until plans are made, pools are full and code is hot; not measured."""
        await (await loader(self.plan(clients, seconds, payments=payments))).go()

    async def round(self, plan: Plan) -> Round:
        """One measured load. Raises CrewError."""
        load = await loader(plan)
        await self.times()
        commits, wal = await write_transactions(self.url), await wal_bytes(self.url)
        roots = {("api" if name == "serve" else name): p for name, p in self.crew.processes().items()}
        master = postmaster(self.where)
        used = meter(roots if master is None else {**roots, "postgres": master})
        watching = asyncio.create_task(self.watch())
        seen = await load.go()
        watching.cancel()
        cpu = {**used.used(), "load": seen.cpu_seconds}
        self.crew.require_alive()
        commits = await write_transactions(self.url) - commits
        wal = await wal_bytes(self.url) - wal
        done = max(1, len(seen.took))
        return Round(
            payments=len(seen.took),
            payments_per_second=round(seen.finished / max(seen.seconds, 1e-9), 1),
            latency_ms=percentiles(seen.took.values()),
            overhead_ms=percentiles(await self.overheads(seen), ("p50", "p99")),
            cpu_ms_per_payment=per_payment(cpu, len(seen.took)),
            commits_per_payment=round(commits / done, 4),
            wal_kb_per_payment=round(wal / done / 1000, 3),
            errors=seen.errors,
        )

    async def profiled(self, work: Awaitable[object], folder: Path) -> None:
        """Work that is sampled and not measured: the stacks are in `folder` when this returns. Raises CrewError."""
        name = self.setup.looked_at
        try:
            await sampled.around(self.crew.processes()[name], folder, work, self.crew.require_alive)
        except TimeoutError:
            raise CrewError(f"{name} did not write its profile") from None
        (folder / f"{name}.txt").write_text(by_place(folder))

    async def watch(self) -> None:
        """How much memory serve has, second by second."""
        while True:
            self.rss.append(round(rss_mb(self.crew.processes()["serve"]), 1))
            await asyncio.sleep(WATCH_SECONDS)

    async def times(self) -> dict[str, float]:
        """The minimal PSP's own time for each payment since it was asked last, in seconds."""
        return msgspec.msgpack.decode(await self.told("/times")) if self.setup.psp == "minimal" else {}

    async def overheads(self, seen: Seen) -> list[float]:
        """Each payment's latency without the PSP's own time, where the PSP tells it."""
        times = await self.times()
        return [took - times[payment] for payment, took in seen.took.items() if payment in times]

    async def told(self, path: str) -> bytes:
        async with aiohttp.ClientSession() as http, http.get(self.psp_url + path) as answer:
            return await answer.read()

    async def slow_psp(self, milliseconds: float) -> None:
        await self.told(f"/latency/{milliseconds}")

    async def quiet(self) -> float:
        """Until nothing is open and nothing unread; how long that took, in seconds."""
        started = time.monotonic()
        async with opened(self.url) as db:
            while time.monotonic() - started < QUIET_SECONDS:
                if not await condition.waiting(db):
                    break
                await asyncio.sleep(0.25)
        return round(time.monotonic() - started, 1)

    async def ended(self, *, copies: int = 0, audited: bool = True) -> dict[str, Any]:
        """Memory, and whether the money is right: our books against the PSP, its calls against our payments.

        `copies` are payments that the PSP never saw; not `audited`: there are too many of them to read them all.
        """
        await self.quiet()
        rss = {"start": self.rss[0], "end": self.rss[-1], "most": max(self.rss)}
        calls = msgspec.json.decode(await self.told("/calls")) if self.setup.psp == "minimal" else {}
        if not audited:
            row = await ask(self.url, "SELECT count(*) AS n FROM payments")
            once = calls["calls"] == calls["payments"] == row["n"] - copies
            return {"rss_mb": rss, "psp": calls, "ok": once}
        check = await audit(self.url, self.psp_url)
        once = not calls or calls["calls"] == calls["payments"] == check.payments - copies
        return {
            "rss_mb": rss,
            "psp": calls,
            "check": structs.asdict(check),
            "ok": check.ok and check.unresolved == 0 and once,
        }


@asynccontextmanager
async def stage(where: Server, setup: Setup) -> AsyncIterator[Stage]:
    """Raises CrewError."""
    async with fresh_database(where, setup.psp) as url:
        ports = free_ports(HOST, 2)
        folder = where.folder / f"logs-{secrets.token_hex(3)}"
        folder.mkdir()
        environment = {**setup.environment, "SCROOGE_DATABASE_URL": url, "SCROOGE_EMBEDDED": "1"}
        if setup.profile is not None:
            environment[sampled.VARIABLE] = str(setup.profile)
        crew = Crew(folder, environment)
        try:
            found = Stage(where, setup, url, ports, crew)
            await found.open()
            yield found
        finally:
            await asyncio.to_thread(crew.stop)
