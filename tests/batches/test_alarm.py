"""A batch stops by itself when its accounts are unwell, if its caller wants that, and goes on when somebody says so."""

import uuid

from scrooge.domain.batch import Act, Status
from scrooge.storage import batches, chunks
from scrooge.storage.batches import Pacing
from tests.batches.own import QUICK, rows, settled, world
from tests.batches.rows import Batches
from tests.world import World

__all__ = ["rows", "world"]


def references(n: int) -> list[str]:
    run = uuid.uuid4().hex[:12]
    return [f"watched-{run}-{i}" for i in range(n)]


async def test_a_batch_whose_accounts_are_unwell_pauses_itself_and_who_resumes_it_knows(world: World, rows: Batches):
    names, card = references(400), await rows.mandate()
    b = await rows.ready([(name, card) for name in names], on_health_alarm="pause", pacing=Pacing(max_tps=40))
    await world.fault("500_before", 1.0, "stripe")
    b = await rows.until(await rows.act(b, Act.START), Status.PAUSED)
    assert b.because is not None
    assert b.because.startswith(("its accounts are unwell: ", "no PSP takes its payments: ")), b.because
    [*_, last] = await batches.acts(rows.db, b.id)
    assert (last.act, last.author, last.because) == ("alarm", "worker", b.because)
    before = (await chunks.progress(rows.db, b.id)).done
    assert before < 400
    await world.no_faults()
    b = await rows.until(await rows.act(b, Act.RESUME), Status.COMPLETED, Status.PAUSED, seconds=150)
    assert b.status is Status.COMPLETED, f"the trouble of before is no news: {b.because}"
    await settled(world, rows, names)


async def test_a_batch_whose_caller_does_not_want_that_goes_on(world: World, rows: Batches):
    world.kill("worker")
    world.start("worker", **QUICK)
    names, card = references(60), await rows.mandate()
    b = await rows.ready([(name, card) for name in names], on_health_alarm="continue")
    await world.fault("500_before", 0.6, "stripe")
    b = await rows.until(await rows.act(b, Act.START), Status.COMPLETED, Status.PAUSED, seconds=150)
    assert b.status is Status.COMPLETED
    await world.no_faults()
    await settled(world, rows, names)
