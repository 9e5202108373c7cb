"""Workers die in the middle of a batch, by SIGKILL, and PSPs fail: each reference is charged at most once, and every line
comes to its end."""

import asyncio
import os
import random
import signal
import uuid

import asyncpg
import pytest

from scrooge.domain.batch import Act, Status
from scrooge.errors import DatabaseUnavailable
from scrooge.storage import chunks
from scrooge.storage.batches import Batch
from tests.batches.own import QUICK, rows, settled, world
from tests.batches.rows import Batches
from tests.world import World

__all__ = ["rows", "world"]
# The campaign (tests/batches/__main__.py) says more of them.
LINES, SEED = int(os.environ.get("SCROOGE_TEST_RENEWALS", "300")), int(os.environ.get("SCROOGE_TEST_SEED", "1"))
POINTS = (
    "batch.claimed", "record.before:3", "record.after:5", "commit.after:2", "send.written:7", "send.after:4",
    "apply.after:6", "batch.ended", "batch.noted", "batch.counted",
)  # fmt: skip


async def test_a_worker_may_die_anywhere_and_the_next_one_goes_on(world: World, rows: Batches):
    """One batch a point; then one worker that lives does what is left of all."""
    world.kill("worker")
    card, names, found = await rows.mandate(), {}, []
    for point in POINTS:
        names[point] = [f"{point}-{uuid.uuid4().hex[:8]}-{n}" for n in range(20)]
        b = await rows.ready([(name, card) for name in names[point]])
        await rows.act(b, Act.START)
        found.append(b)
        world.start("dying", SCROOGE_CRASH_POINT=point, **QUICK)
        process = world.processes.pop("dying")
        assert await asyncio.to_thread(process.wait, 60) == -9, point
    world.start("worker", **QUICK)
    for b in found:
        await rows.until(b, Status.COMPLETED, seconds=120)
        assert {(line["state"], line["existing"]) for line in await rows.lines(b)} == {("done", False)}
    every = [name for some in names.values() for name in some]
    await settled(world, rows, every)
    assert await rows.approved(every) == dict.fromkeys(every, 1)


async def test_what_a_dead_worker_had_begun_of_a_canceled_batch_is_told_and_nothing_more_is_charged(
    world: World, rows: Batches
):
    world.kill("worker")
    names = [f"canceled-{uuid.uuid4().hex[:8]}-{n}" for n in range(20)]
    b = await rows.ready([(name, await rows.mandate()) for name in names])
    b = await rows.act(b, Act.START)
    world.start("dying", SCROOGE_CRASH_POINT="apply.after:6", **QUICK)
    assert await asyncio.to_thread(world.processes.pop("dying").wait, 60) == -9
    b = await rows.act(b, Act.CANCEL)
    assert (await chunks.progress(rows.db, b.id)).open
    world.start("worker", **QUICK)
    for _ in range(120):
        if not (await chunks.progress(rows.db, b.id)).open:
            break
        await asyncio.sleep(0.5)
    told = {line["reference"] for line in await rows.lines(b) if line["state"] == "done"}
    await settled(world, rows, names)
    assert 0 < len(told) <= 20
    assert await rows.approved(names) == dict.fromkeys(told, 1)


async def progress(rows: Batches, both: list[Batch]) -> int:
    """Lines that have ended, of both; as many as before while the database starts again."""
    for _ in range(240):
        try:
            return sum([(await chunks.progress(rows.db, b.id)).done for b in both])
        except (DatabaseUnavailable, asyncpg.PostgresError, OSError):
            await asyncio.sleep(0.25)
    raise AssertionError("the database does not come back")


async def reached(world: World) -> asyncpg.Connection:
    """Once it takes connections: a process that starts while PostgreSQL reads its log ends, for its supervisor to start."""
    for _ in range(240):
        try:
            return await asyncpg.connect(world.database_url)
        except (asyncpg.PostgresError, OSError):
            await asyncio.sleep(0.25)
    raise AssertionError("the database does not come back")


async def kill(world: World, victim: str) -> None:
    """By SIGKILL; of PostgreSQL one backend, so that all of it starts again from its log."""
    if victim == "postgres":
        connection = await reached(world)
        pid = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'scrooge' AND state IS NOT NULL LIMIT 1"
        )
        await connection.close()
        os.kill(pid, signal.SIGKILL)
        return
    world.kill(victim)
    await (await reached(world)).close()
    await asyncio.to_thread(world.start, victim)


@pytest.mark.timeout(7200)
async def test_the_same_lines_twice_at_once_through_failing_psps_and_dying_processes(world: World, rows: Batches):
    """A fifth of the PSPs' answers is spoiled, and each process is killed while they come."""
    for kind, rate in (("charge_then_drop", 0.05), ("500_before", 0.05), ("charge_then_500", 0.05), ("garbage", 0.05)):
        await world.fault(kind, rate)
    world.processes["another"] = world.processes.pop("worker")
    world.start("worker")
    try:
        cards = [await rows.mandate(), await rows.mandate(adyen="stored_visa")]
        names = [f"twice-{uuid.uuid4().hex[:8]}-{n}" for n in range(LINES)]
        both = [await rows.ready([(name, cards[n % 2]) for n, name in enumerate(names)]) for _ in range(2)]
        drawn = random.Random(SEED)
        victims = ["worker", "serve", "worker"] if LINES <= 1000 else 2 * ["worker", "another", "serve", "postgres"]
        drawn.shuffle(victims)
        moments = sorted(int(drawn.uniform(0.05, 0.9) * 2 * LINES) for _ in victims)
        await asyncio.gather(*(rows.act(b, Act.START) for b in both))
        for moment, victim in zip(moments, victims, strict=True):
            while await progress(rows, both) < moment:
                await asyncio.sleep(0.2)
            print(f"{moment} lines ended: {victim} is killed")
            await kill(world, victim)
        while await progress(rows, both) < 2 * LINES:
            await asyncio.sleep(0.5)
        for b in both:
            await rows.until(b, Status.COMPLETED)
    finally:
        world.kill("another")  # The world is shared: nobody else expects it.
        del world.processes["another"]
    await world.no_faults()
    if rows.sql.is_closed():  # PostgreSQL was killed, too.
        rows.sql = await asyncpg.connect(world.database_url)
    lines = [await rows.lines(b) for b in both]
    assert [line["payment_id"] for line in lines[0]] == [line["payment_id"] for line in lines[1]]
    assert {line["state"] for line in (*lines[0], *lines[1])} == {"done"}
    await settled(world, rows, names)
