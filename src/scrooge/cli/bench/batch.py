"""A batch of renewals from its start to its end by one worker: how fast, what a payment costs, how much memory it
takes, and what those who pay meanwhile notice."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from scrooge.cli.bench.crew import CrewError
from scrooge.cli.bench.options import Options
from scrooge.cli.bench.result import Round, per_payment
from scrooge.cli.bench.server import Server, opened, postmaster, session
from scrooge.cli.bench.shop import payer_name
from scrooge.cli.bench.stage import Setup, Stage, stage
from scrooge.cli.bench.usage import meter, rss_mb
from scrooge.domain.batch import Act, Status
from scrooge.domain.mandate import Mandate, Terms, Use
from scrooge.domain.mandate import Status as Agreed
from scrooge.ids import bucket_in, encode, hex_of, retyped
from scrooge.storage import batches, chunks, mandates
from scrooge.storage.batches import Batch, Draft, Pacing

WARM_SECONDS, WARM_LINES = 2.0, 2000
PROFILED_LINES = 10_000
BESIDE_PER_SECOND = 20.0  # payments of people, while a batch runs
BESIDE_CLIENTS = 64
COLUMNS = ("bucket", "batch_id", "line", "state", "reference", "custom_id", "minor", "currency", "mandate_id")
DRAFT = Draft(
    name="renewals", kind="payments", not_before=None, deadline=None, pacing=Pacing(), on_health_alarm="continue",
    retry_until=None, descriptor=None,
)  # fmt: skip


async def renewals(where: Server, setup: Setup, o: Options, lines: int, say: Callable[[str], None]) -> dict[str, Any]:
    """One batch alone, then a quarter of it while people pay. Raises CrewError."""
    async with stage(where, setup) as at:
        await at.warm(BESIDE_CLIENTS, WARM_SECONDS)
        found = await agreed(at)
        await ran(at, await loaded(at, found, WARM_LINES))
        b = await loaded(at, found, lines)
        say(f"{lines:,} renewals")
        alone = await measured(at, b, lines)
        say(f"{alone['payments_per_second']:,.0f} payments/s, {alone['cpu_ms_per_payment']} ms")
        calm = await beside(at, o.seconds)
        b = await loaded(at, found, max(WARM_LINES, lines // 4))
        begun = asyncio.create_task(ran(at, b))
        busy = await beside(at, o.seconds)
        still = not begun.done()
        await begun
        if setup.profile is not None:
            say(f"profiling into {setup.profile}")
            await at.profiled(ran(at, await loaded(at, found, min(lines, PROFILED_LINES))), setup.profile)
        say(f"people's p99: {calm.overhead_ms} ms alone, {busy.overhead_ms} ms beside it")
        return {
            **alone,
            "beside": {"per_second": BESIDE_PER_SECOND, "alone": structs.asdict(calm), "busy": structs.asdict(busy),
                       "batch_ran_all_the_time": still, "p99_ratio": ratio(calm, busy)},
            **await at.ended(),
        }  # fmt: skip


def ratio(calm: Round, busy: Round) -> float:
    return round(busy.overhead_ms.get("p99", 0.0) / max(1e-9, calm.overhead_ms.get("p99", 0.0)), 2)


async def beside(at: Stage, seconds: float) -> Round:
    return await at.round(at.plan(BESIDE_CLIENTS, seconds, rate=BESIDE_PER_SECOND))


async def agreed(at: Stage) -> list[Mandate]:
    """A mandate for each of the shop's instruments."""
    async with session(at.url) as connection:
        row = await connection.fetchrow("SELECT c.id AS caller, c.merchant_id AS merchant FROM callers c LIMIT 1")
    merchant, caller = encode("mer", row["merchant"].int), encode("clr", row["caller"].int)
    found = [
        Mandate(
            id=retyped(name, "man"), merchant=merchant, livemode=False, caller=caller, customer=payer_name(number),
            instrument=name, use=Use.RECURRING, status=Agreed.ACTIVE, terms=Terms(), consent_at=time.time_ns() // 1000,
        )
        for number, name in enumerate(at.shop.instruments)
    ]  # fmt: skip
    async with opened(at.url) as db:
        await mandates.write(db, found)
    return found


async def loaded(at: Stage, given: list[Mandate], lines: int) -> Batch:
    """As its upload and its validation would leave it."""
    m, run = given[0], secrets.token_hex(4)
    async with opened(at.url) as db:
        b, _ = await batches.add(db, m.merchant, m.caller, False, run, bytes(32), DRAFT)
        bucket, name = bucket_in(b.id), hex_of(b.id)
        payers = [hex_of(one.id) for one in given]
        async with session(at.url) as connection:
            records = (
                (bucket, name, n, "queued", f"{run}-{n}", None, 1299, "EUR", payers[n % len(payers)])
                for n in range(1, lines + 1)
            )
            await connection.copy_records_to_table("batch_lines", columns=COLUMNS, records=records)
            await connection.execute("UPDATE batches SET input_lines = $2 WHERE id = $1", name, lines)
            await connection.execute("ANALYZE batch_lines")
        b, _ = await batches.move(db, b, Act.CLOSE, "bench")
        return (await batches.move(db, b, Act.VALIDATE, "bench"))[0]


async def ran(at: Stage, b: Batch) -> Batch:
    async with opened(at.url) as db:
        b, _ = await batches.move(db, b, Act.START, "bench")
        while b.status is not Status.COMPLETED:
            await asyncio.sleep(0.1)
            at.crew.require_alive()
            b = await batches.read(db, b.id) or b
        return b


async def measured(at: Stage, b: Batch, lines: int) -> dict[str, Any]:
    master = postmaster(at.where)
    roots = {"api" if name == "serve" else name: p for name, p in at.crew.processes().items()}
    used = meter(roots if master is None else {**roots, "postgres": master})
    sizes: list[float] = []
    watching = asyncio.create_task(watch(at, sizes))
    b = await ran(at, b)
    watching.cancel()
    cpu = used.used()
    async with opened(at.url) as db:
        p = await chunks.progress(db, b.id)
    if p.captured != lines:
        raise CrewError(f"of {lines} lines {p.captured} were captured, and {p.refused} refused")
    assert b.started_at is not None
    assert b.ended_at is not None
    seconds = (b.ended_at - b.started_at) / 1_000_000
    return {
        "payments": p.captured, "seconds": round(seconds, 2), "payments_per_second": round(lines / seconds, 1),
        "cpu_ms_per_payment": per_payment(cpu, lines), "worker_rss_mb": sizes[:: max(1, len(sizes) // 50)],
    }  # fmt: skip


async def watch(at: Stage, sizes: list[float]) -> None:
    while True:
        sizes.append(round(rss_mb(at.crew.processes()["worker"]), 1))
        await asyncio.sleep(1.0)
