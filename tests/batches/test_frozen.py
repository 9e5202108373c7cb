"""A worker that stood still while others took its chunk, and goes on as if nothing had happened, charges nothing that was
told as left or refused."""

import asyncio
import signal
import subprocess
import uuid
from pathlib import Path

from scrooge.domain.batch import Act, Status
from scrooge.ids import hex_of, retyped
from scrooge.storage import chunks
from scrooge.storage.batches import Batch
from tests.batches.own import QUICK, rows, settled, world
from tests.batches.rows import Batches
from tests.world import World

__all__ = ["rows", "world"]


async def frozen_before_its_first_record(world: World, rows: Batches, b: Batch) -> subprocess.Popen[bytes]:
    """A worker that stands still between its look at the lease and the commit, and has lost its chunk by now."""
    world.start("frozen", SCROOGE_CRASH_POINT="record.before:1:stop", **QUICK)
    process = world.processes["frozen"]
    for _ in range(600):
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("it does not stop")
    await rows.sql.execute("UPDATE batch_chunks SET leased_until = now() WHERE batch_id = $1", hex_of(b.id))
    return process


async def goes_on_and_ends(world: World, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(3)
    del world.processes["frozen"]
    process.kill()
    await asyncio.to_thread(process.wait, 60)


async def test_a_line_that_is_told_as_left_is_never_charged_though_a_worker_wakes_that_had_begun_it(
    world: World, rows: Batches
):
    world.kill("worker")
    names = [f"frozen-{uuid.uuid4().hex[:8]}-{n}" for n in range(20)]
    b = await rows.ready([(name, await rows.mandate()) for name in names])
    b = await rows.act(b, Act.START)
    process = await frozen_before_its_first_record(world, rows, b)
    b = await rows.act(b, Act.CANCEL)
    assert (await chunks.progress(rows.db, b.id)).open, "nobody says yet what was left"
    world.start("worker", **QUICK)
    for _ in range(120):
        if not (await chunks.progress(rows.db, b.id)).open:
            break
        await asyncio.sleep(0.5)
    assert {line["state"] for line in await rows.lines(b)} == {"queued"}, "all of them are left"
    await goes_on_and_ends(world, process)
    assert await rows.sql.fetchval("SELECT count(*) FROM payments WHERE reference = ANY ($1)", names) == 0
    assert await rows.approved(names) == {}
    await settled(world, rows, names)


async def test_a_line_that_is_told_as_refused_is_never_charged_though_a_worker_wakes_that_had_begun_it(
    world: World, rows: Batches
):
    world.kill("worker")
    names, card = [f"refused-{uuid.uuid4().hex[:8]}-{n}" for n in range(20)], await rows.mandate()
    b = await rows.act(await rows.ready([(name, card) for name in names]), Act.START)
    process = await frozen_before_its_first_record(world, rows, b)
    url = f"{world.api_url}/v1/instruments/{retyped(card, 'ins')}"
    async with world.http.delete(url, headers=world.headers()) as answer:
        assert answer.status < 300, await answer.text()
    world.start("worker", **QUICK)
    await rows.until(b, Status.COMPLETED)
    assert {line["state"] for line in await rows.lines(b)} == {"refused"}
    await goes_on_and_ends(world, process)
    assert {line["state"] for line in await rows.lines(b)} == {"refused"}
    assert await rows.sql.fetchval("SELECT count(*) FROM payments WHERE reference = ANY ($1)", names) == 0
    assert await rows.approved(names) == {}
