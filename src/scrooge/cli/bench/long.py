"""The long runs: the cost of a payment while the tables grow, and the memory of serve over very many payments."""

import shutil
from collections.abc import Callable
from typing import Any

from msgspec import structs

from scrooge.cli.bench.growth import grow, size_of, template
from scrooge.cli.bench.options import Options
from scrooge.cli.bench.result import summary
from scrooge.cli.bench.server import Server
from scrooge.cli.bench.stage import Setup, Stage, stage

WARM_SECONDS = 5.0
CYCLE_SECONDS, CYCLE_PAYMENTS = 60.0, 30_000
SMALLEST = 10_000
AUDITED_MAX = 300_000  # rows beyond which comparing all of them again takes longer than the run
SPARE_BYTES = 4_000_000_000
POINTS = 100  # of a curve


async def curve(where: Server, setup: Setup, o: Options, most: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Rounds at ten thousand payments, ten times as many, and so on. Ends early where the disk would not do."""
    found: list[dict[str, Any]] = []
    async with stage(where, setup) as at:
        await at.warm(o.clients, WARM_SECONDS)
        of, grown = await template(at.url), 0
        for size in sizes(most):
            if not room(where, found, size - grown):
                say(f"not enough disk for {size:,} payments")
                break
            await grow(at.url, of, grown, size, say)
            grown = size
            found.append(await point(at, o, size))
            say(f"{size:,} payments: {found[-1]['payments_per_second']:,.0f}/s, {found[-1]['cpu_ms_per_payment']} ms")
        end = await at.ended(copies=grown, audited=grown <= AUDITED_MAX)
    first, last = found[0]["cpu_ms_per_payment"], found[-1]["cpu_ms_per_payment"]
    growth = {name: round(last[name] / first[name], 3) for name in ("api", "postgres") if first.get(name)}
    return {"curve": found, "cost_of_last_to_first": growth, **end}


def sizes(most: int) -> list[int]:
    """Ten thousand, ten times as many, and so on, and the most."""
    found = [SMALLEST]
    while found[-1] * 10 < most:
        found.append(found[-1] * 10)
    return [*(size for size in found if size < most), most]


def room(where: Server, found: list[dict[str, Any]], more: int) -> bool:
    each = found[-1]["bytes_per_payment"] if found else 0
    return shutil.disk_usage(where.folder).free > more * each * 1.2 + SPARE_BYTES


async def point(at: Stage, o: Options, size: int) -> dict[str, Any]:
    # After a checkpoint the first change of every page writes the whole page: not what a payment costs in the long run.
    await at.warm(o.clients, CYCLE_SECONDS, payments=CYCLE_PAYMENTS)
    stored = await size_of(at.url)
    rounds = [await at.round(at.plan(o.clients, o.seconds)) for _ in range(o.rounds)]
    return {"payments_before": size, "bytes_per_payment": round(stored / size), **summary(rounds)}


async def memory(where: Server, setup: Setup, o: Options, payments: int, say: Callable[[str], None]) -> dict[str, Any]:
    """So many payments by one `serve`, without a pause."""
    async with stage(where, setup) as at:
        await at.warm(o.clients, WARM_SECONDS)
        say(f"{payments:,} payments")
        one = await at.round(at.plan(o.clients, 86_400, payments=payments))
        every = max(1, len(at.rss) // POINTS)
        end = await at.ended()
    return {**structs.asdict(one), "rss_mb_over_time": at.rss[::every], **end}
