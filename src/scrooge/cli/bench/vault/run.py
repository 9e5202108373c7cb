"""The vault's whole run: cards taken, fills, what the hop adds, many cards; and whether all of it was right."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from scrooge import logs
from scrooge.cli.bench import machine, profile, sampled, server
from scrooge.cli.bench.options import Options
from scrooge.cli.bench.result import middle, middles, summed
from scrooge.cli.bench.server import Server, opened
from scrooge.cli.bench.vault.cards import reencrypted, stored
from scrooge.cli.bench.vault.hop import added, fill_body
from scrooge.cli.bench.vault.stage import House, Measured, house
from scrooge.vault import audit

WARM_SECONDS = 2.0
CARDS = 4096  # at most, that fills are asked of
PAIRS = 300
MANY = 10_000  # fewer are moved to new keys before that can be measured
ENDED = """SELECT (SELECT count(*) FROM audit WHERE act = 'fill' AND outcome = 'done') AS granted,
                  (SELECT count(*) FROM cards) AS kept"""
STORED_FROM, AGAIN = 1_000_000, 9_000_000  # of the range of numbers, apart from those of the rounds


class Bench:
    """One run on one server. `say` tells progress."""

    def __init__(self, where: Server, options: Options, say: Callable[[str], None]) -> None:
        self.where, self.options, self.say = where, options, say
        self.fills = self.taken = self.direct = 0

    async def whole(self) -> dict[str, Any]:
        """Raises CrewError."""
        described = {**machine.described(self.where.folder), "postgres": await server.described(self.where.url)}
        self.say(f"{described['cpu']}, {described['cores']} cores, fsync {described['fsync_ms']['p50']} ms")
        o = self.options
        folder = Path(o.profile) if o.profile else None
        async with house(self.where, folder) as at:
            instruments, tokenized = await self.tokenize(at)
            bodies = [fill_body(at, instrument) for instrument in instruments]
            filled = await self.rounds(at, "fill", bodies)
            self.say(f"{filled['per_second']:,.0f} fills a second, CPU {filled['cpu_ms']} ms")
            found = {"tokenize": tokenized, "fill": filled}
            if not o.brief:
                found["hop"] = await self.hop(at, instruments, bodies, filled["per_second"] / 2)
            if o.cards is not None:
                found["stored"] = await self.many(at, bodies, o.cards)
            if folder is not None:
                await self.profiled(at, bodies, folder)
            ended = await self.ended(at)
        return {**found, **ended, "options": structs.asdict(o), "machine": described}

    async def tokenize(self, at: House) -> tuple[list[str], dict[str, Any]]:
        """Cards as merchants send them; some of them, and what it came to."""
        o, rounds, instruments = self.options, [], []
        await self.round(at, "tokenize", ["0"], min(WARM_SECONDS, o.seconds))
        for _ in range(o.rounds):
            found, seen = await self.round(at, "tokenize", [str(self.taken)], o.seconds)
            rounds.append(found)
            instruments += seen.took
        told = summary(rounds)
        self.say(f"{told['per_second']:,.0f} cards taken a second, CPU {told['cpu_ms']} ms")
        return instruments[-CARDS:], told

    async def rounds(self, at: House, kind: str, bodies: list[str]) -> dict[str, Any]:
        o = self.options
        await self.round(at, kind, bodies, min(WARM_SECONDS, o.seconds))
        return summary([(await self.round(at, kind, bodies, o.seconds))[0] for _ in range(o.rounds)])

    async def round(self, at: House, kind: str, bodies: list[str], seconds: float) -> tuple[Measured, Any]:
        found, seen = await at.measured(kind, bodies, self.options.clients, seconds)
        if kind == "fill":
            self.fills += found.done
        else:
            self.taken += found.done
        return found, seen

    async def hop(self, at: House, instruments: list[str], bodies: list[str], rate: float) -> dict[str, Any]:
        """With nothing else to do, and while fills come at half of what was measured."""
        o = self.options
        low = await added(at, instruments, PAIRS, 4 * o.seconds, "low")
        self.say(f"the hop adds {low['added_ms']} ms at low load")
        load = await at.load("fill", bodies, o.clients, o.seconds, rate=max(1.0, rate))
        loading = asyncio.create_task(load.go())
        await asyncio.sleep(0.3)
        half = await added(at, instruments, 10 * PAIRS, max(0.5, o.seconds - 1), "half")
        seen = await loading
        self.fills += len(seen.took) + low["pairs"] + half["pairs"]
        self.direct += low["pairs"] + half["pairs"]
        self.say(f"and {half['added_ms']} ms at {rate:,.0f} fills a second")
        return {"low_load": low, "half_capacity": {"rate": round(rate, 1), "errors": seen.errors, **half}}

    async def many(self, at: House, bodies: list[str], cards: int) -> dict[str, Any]:
        """So many cards more, and how fast it is with them."""
        found = await stored(at, cards, STORED_FROM, self.say)
        self.say(f"{cards:,} cards kept in {found['seconds']:,.0f} s; {found['kb_each']} kB each")
        again = [(await self.round(at, "tokenize", [str(AGAIN)], self.options.seconds))[0]]
        filled = [(await self.round(at, "fill", bodies, self.options.seconds))[0] for _ in range(self.options.rounds)]
        found |= {"tokenize": summary(again), "fill": summary(filled)}
        if cards >= MANY:
            found["reencrypt"] = await reencrypted(at)
            self.say(f"{found['reencrypt']['per_second']:,.0f} cards a second moved to new keys")
        return found

    async def profiled(self, at: House, bodies: list[str], folder: Path) -> None:
        """A load that is sampled and not measured."""
        load = await at.load("fill", bodies, self.options.clients, self.options.seconds)
        seen = await sampled.around(at.crew.processes()["vault"], folder, load.go(), at.crew.require_alive)
        self.fills += len(seen.took)
        (folder / "vault.txt").write_text(profile.by_place(folder))

    async def ended(self, at: House) -> dict[str, Any]:
        """Every fill reached the PSP once, and the audit is whole and tells as many."""
        calls = await at.calls()
        async with opened(at.url) as db:
            found = await audit.verify(db)
        row = await server.ask(at.url, ENDED)
        granted, kept = int(row["granted"]), int(row["kept"])
        once = calls["calls"] == calls["payments"] == granted + self.direct and granted >= self.fills
        return {
            "audit": {"records": found.records, "whole": not found.broken},
            "psp": {**calls, "by_vault": granted},
            "cards": kept,
            "ok": once and not found.broken,
        }


def summary(rounds: Sequence[Measured]) -> dict[str, Any]:
    """Medians, and the spread of what matters most."""
    speeds = [r.per_second for r in rounds]
    return {
        "per_second": middle(speeds),
        "spread": [min(speeds), max(speeds)],
        "latency_ms": middles([r.latency_ms for r in rounds]),
        "cpu_ms": middles([r.cpu_ms for r in rounds]),
        "commits_each": middle([r.commits_each for r in rounds]),
        "wal_kb_each": middle([r.wal_kb_each for r in rounds]),
        "errors": summed([r.errors for r in rounds]),
        "done": sum(r.done for r in rounds),
    }


def run(where: Server, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Raises CrewError."""
    logs.configure("critical", "json")  # The core's own code runs here too.
    return asyncio.run(Bench(where, options, say).whole())
