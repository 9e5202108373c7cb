"""The whole run: what is measured, in which order, and what it comes to."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import structs

from scrooge.cli.bench import limit, machine, profile, server
from scrooge.cli.bench.batch import renewals
from scrooge.cli.bench.crew import loader
from scrooge.cli.bench.long import curve, memory
from scrooge.cli.bench.options import Options
from scrooge.cli.bench.result import LimitRound, Round, limit_summary, per_payment, summary
from scrooge.cli.bench.sample import Seller
from scrooge.cli.bench.server import Server
from scrooge.cli.bench.shop import sell_without_api
from scrooge.cli.bench.stage import Setup, Stage, stage
from scrooge.cli.bench.stored import stored_value
from scrooge.cli.database import audited

WARM_SECONDS = 2.0
LOW_CLIENTS = (1, 4)
HALF_LATENCY_MS = 50.0
OPEN_CONNECTIONS = 256


class Bench:
    """One run on one server. `say` tells progress."""

    def __init__(self, where: Server, options: Options, say: Callable[[str], None]) -> None:
        self.where, self.options, self.say = where, options, say

    async def whole(self) -> dict[str, Any]:
        """Raises CrewError, LimitError."""
        described = {**machine.described(self.where.folder), "postgres": await server.described(self.where.url)}
        self.say(f"{described['cpu']}, {described['cores']} cores, fsync {described['fsync_ms']['p50']} ms")
        o, sections = self.options, {}
        told = {"options": structs.asdict(o), "machine": described}
        if o.grow is not None:
            return {**told, **await curve(self.where, self.setup("minimal"), o, o.grow, self.say)}
        if o.payments is not None:
            return {**told, **await memory(self.where, self.setup("minimal"), o, o.payments, self.say)}
        if o.batch is not None:
            return {**told, **await renewals(self.where, self.setup(o.psps[0]), o, o.batch, self.say)}
        if o.stored_value:
            return {**told, **await stored_value(self.where, self.setup("minimal"), o, self.say)}
        for psp in o.psps:
            sections[psp] = await (self.minimal() if psp == "minimal" else self.sandbox())
        first = sections[o.psps[0]]
        return {
            **{name: first[name] for name in HEADLINES if name in first},
            "ok": all(section["ok"] for section in sections.values()),
            **told,
            **sections,
        }

    def setup(self, psp: str) -> Setup:
        return Setup(
            psp=psp, workers=self.options.workers, latency_ms=self.options.latency_ms, environment=dict(os.environ),
            profile=Path(self.options.profile) if self.options.profile and psp == "minimal" else None,
            looked_at="worker" if self.options.batch else "serve",
        )  # fmt: skip

    async def minimal(self) -> dict[str, Any]:
        """Against the minimal PSP, round by round in turn with the limit, so that both meet the same machine."""
        o = self.options
        async with server.fresh_database(self.where, "limit") as bare, stage(self.where, self.setup("minimal")) as at:
            seller = await sell_without_api(bare)
            path = await limit.write_script(self.where.folder, seller)
            self.say(f"warming up: the limit and {o.clients} clients against the minimal PSP")
            warm = min(WARM_SECONDS, o.seconds)
            await at.warm(o.clients, warm)
            limits, rounds = [], []
            for number in range(o.rounds):
                limits.append(await self.limit_round(bare, path))
                rounds.append(await self.round(at))
                self.say(
                    f"round {number + 1}: {rounds[-1].payments_per_second:,.0f} payments/s,"
                    f" the limit {limits[-1].payments_per_second:,.0f}/s"
                )
            found = {**summary(rounds), **compared(rounds, limits)}
            if not o.brief:
                found["low_load"] = [await self.low(at, clients) for clients in LOW_CLIENTS]
                found["half_capacity"] = await self.half(at, found["payments_per_second"] / 2)
            bare_check = await audited(bare, None)
            if o.profile is not None:
                await self.profile(at, bare, seller, Path(o.profile))
            return {**found, **await at.ended(), "limit_check_ok": bare_check.ok}

    async def profile(self, at: Stage, bare: str, seller: Seller, folder: Path) -> None:
        """After everything that counts."""
        self.say(f"profiling into {folder}")
        load = await loader(at.plan(self.options.clients, self.options.seconds))
        await at.profiled(load.go(), folder)
        (folder / "postgres.txt").write_text(await profile.statements(bare, seller))

    async def sandbox(self) -> dict[str, Any]:
        """Against the sandbox, which notifies us of everything."""
        o = self.options
        async with stage(self.where, self.setup("sandbox")) as at:
            self.say("warming up: the sandbox, with notifications")
            await at.warm(o.clients, min(WARM_SECONDS, o.seconds))
            rounds = [await self.round(at) for _ in range(o.rounds)]
            self.say(f"{summary(rounds)['payments_per_second']:,.0f} payments/s; waiting for the notifications")
            return {**summary(rounds), "settled_seconds": await at.quiet(), **await at.ended()}

    async def round(self, at: Stage) -> Round:
        o = self.options
        clients = o.clients if o.rate is None else max(o.clients, OPEN_CONNECTIONS)
        return await at.round(at.plan(clients, o.seconds, rate=o.rate))

    async def limit_round(self, url: str, path: Path) -> LimitRound:
        master, o = server.postmaster(self.where), self.options
        roots = {} if master is None else {"postgres": master}
        found = await limit.drive(url, path, o.clients, o.seconds, min(WARM_SECONDS, o.seconds), roots)
        return LimitRound(
            payments_per_second=round(found.per_second, 1),
            latency_ms=found.latency_ms,
            cpu_ms_per_payment=per_payment(found.cpu_seconds, found.payments),
        )

    async def low(self, at: Stage, clients: int) -> dict[str, Any]:
        found = await at.round(at.plan(clients, min(5.0, self.options.seconds)))
        self.say(f"{clients} clients: {found.payments_per_second:,.0f} payments/s, {found.overhead_ms} ms of overhead")
        return {"clients": clients, **structs.asdict(found)}

    async def half(self, at: Stage, rate: float) -> dict[str, Any]:
        """Arrivals at half of what was measured, and a PSP that takes its time."""
        await at.slow_psp(HALF_LATENCY_MS)
        found = await at.round(at.plan(OPEN_CONNECTIONS, self.options.seconds, rate=max(1.0, rate)))
        await at.slow_psp(self.options.latency_ms)
        self.say(f"half of that, a PSP of {HALF_LATENCY_MS:.0f} ms: {found.overhead_ms} ms of overhead")
        return {"rate": round(rate, 1), "psp_latency_ms": HALF_LATENCY_MS, **structs.asdict(found)}


HEADLINES = (
    "payments_per_second", "latency_ms", "overhead_ms", "cpu_ms_per_payment", "commits_per_payment",
    "wal_kb_per_payment", "limit_per_second", "ratio_to_limit", "errors", "rss_mb", "check", "low_load",
    "half_capacity",
)  # fmt: skip


def compared(rounds: list[Round], limits: list[LimitRound]) -> dict[str, Any]:
    """Ours to the limit, round by round: the machine's moods strike both."""
    ratios = sorted(
        r.payments_per_second / max(1e-9, x.payments_per_second) for r, x in zip(rounds, limits, strict=True)
    )
    found = limit_summary(limits)
    return {
        "limit_per_second": found["payments_per_second"],
        "ratio_to_limit": round(ratios[len(ratios) // 2], 3),
        "ratio_spread": [round(ratios[0], 3), round(ratios[-1], 3)],
        "limit": found,
    }


def run(where: Server, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Raises CrewError, LimitError."""
    return asyncio.run(Bench(where, options, say).whole())
