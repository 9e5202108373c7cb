"""A batch's lines become payments, each once: among several workers, when it is stopped, and when there is nothing to do."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from scrooge.domain.batch import Act, Status
from scrooge.flows.scrooge import now
from scrooge.storage import chunks
from scrooge.storage.batches import Pacing
from tests.batches.rows import Batches, batches_of
from tests.world import World

POOR = "pm_card_visa_chargeDeclinedInsufficientFunds"


@pytest.fixture
async def rows(world: World) -> AsyncIterator[Batches]:
    async with batches_of(world) as found:
        yield found


def references(n: int) -> list[str]:
    run = uuid.uuid4().hex[:12]
    return [f"renewal-{run}-{i}" for i in range(n)]


async def test_every_line_becomes_a_payment_and_the_counts_are_theirs(world: World, rows: Batches):
    names = references(600)
    good, poor = await rows.mandate(), await rows.mandate(stripe=POOR)
    b = await rows.ready([(name, poor if i % 10 == 0 else good) for i, name in enumerate(names)])
    b = await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
    lines = await rows.lines(b)
    assert {(line["state"], line["existing"]) for line in lines} == {("done", False)}
    assert {line["status"] for line in lines[::10]} == {"declined"}
    assert await rows.approved(names) == {name: 1 for i, name in enumerate(names) if i % 10}
    p = await chunks.progress(rows.db, b.id)
    assert (p.captured, p.declined, p.done, p.existing) == (540, 60, 600, 0)


async def test_two_batches_of_the_same_lines_at_once_charge_each_reference_once(world: World, rows: Batches):
    world.start("another worker")
    names, card = references(400), await rows.mandate()
    both = [await rows.ready([(name, card) for name in names]) for _ in range(2)]
    await asyncio.gather(*(rows.act(b, Act.START) for b in both))
    try:
        for b in both:
            await rows.until(b, Status.COMPLETED)
    finally:
        world.kill("another worker")  # The world is shared: nobody else expects it.
    lines = [await rows.lines(b) for b in both]
    assert [line["payment_id"] for line in lines[0]] == [line["payment_id"] for line in lines[1]]
    assert all(a["existing"] is not b["existing"] for a, b in zip(*lines, strict=True))
    assert await rows.approved(names) == dict.fromkeys(names, 1)


async def test_a_payment_that_was_there_before_is_the_lines_own_and_told_as_such(world: World, rows: Batches):
    [name] = references(1)
    _, p = await world.pay(reference=name, value="7.00")
    b = await rows.ready([(name, await rows.mandate())])
    b = await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
    [line] = await rows.lines(b)
    assert (line["existing"], line["status"]) == (True, "captured")
    assert await rows.approved([name]) == {name: 1}


async def test_a_paused_batch_begins_nothing_and_goes_on_where_it_was(world: World, rows: Batches):
    names, card = references(60), await rows.mandate()
    b = await rows.ready([(name, card) for name in names], pacing=Pacing(max_tps=20))
    b = await rows.act(b, Act.START)
    await asyncio.sleep(1.5)
    b = await rows.act(b, Act.PAUSE)
    await asyncio.sleep(1.5)
    before = (await chunks.progress(rows.db, b.id)).done
    assert 0 < before < 60
    await asyncio.sleep(1)
    assert (await chunks.progress(rows.db, b.id)).done == before
    b = await rows.until(await rows.act(b, Act.RESUME), Status.COMPLETED)
    assert await rows.approved(names) == dict.fromkeys(names, 1)


async def test_a_batch_goes_no_faster_than_it_may_whoever_works_at_it(world: World, rows: Batches):
    names, card = references(90), await rows.mandate()
    b = await rows.ready(
        [(name, card) for name in names], pacing=Pacing(per_connector={world.accounts["stripe"]["id"]: 30})
    )
    began = time.monotonic()
    await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
    assert time.monotonic() - began >= 2.5  # 90 at 30 a second, less what may be caught up with


async def test_what_is_canceled_or_past_its_window_stops_and_the_rest_is_left(world: World, rows: Batches):
    card = await rows.mandate()
    for ends in (Act.CANCEL, Act.EXPIRE):
        names = references(60)
        deadline = now() + 2_000_000 if ends is Act.EXPIRE else None
        b = await rows.ready([(name, card) for name in names], pacing=Pacing(max_tps=15), deadline=deadline)
        b = await rows.act(b, Act.START)
        if ends is Act.CANCEL:
            await asyncio.sleep(1.5)
            b = await rows.act(b, Act.CANCEL)
        b = await rows.until(b, Status.CANCELED, Status.EXPIRED)
        await asyncio.sleep(4)
        lines = await rows.lines(b)
        done = [line["reference"] for line in lines if line["state"] == "done"]
        assert 0 < len(done) < 60
        assert await rows.approved(names) == dict.fromkeys(done, 1)


async def test_a_mandate_that_is_withdrawn_meanwhile_refuses_its_lines_and_stops_no_other(world: World, rows: Batches):
    names, good, gone = references(60), await rows.mandate(), await rows.mandate(adyen="stored_visa")
    b = await rows.ready([(name, (good, gone)[i % 2]) for i, name in enumerate(names)], pacing=Pacing(max_tps=20))
    b = await rows.act(b, Act.START)
    await asyncio.sleep(1)
    status, _ = await world.post(f"/v1/mandates/{gone}/revoke", {"reason": "the payer called"})
    assert status == 200
    await rows.until(b, Status.COMPLETED)
    lines = await rows.lines(b)
    refused = [line for line in lines if line["state"] == "refused"]
    assert {line["state"] for line in lines[::2]} == {"done"}
    assert 0 < len(refused) < 30
    assert all(json.loads(line["error"])["rule"] == "mandate_revoked" for line in refused)
    done = [line["reference"] for line in lines if line["state"] == "done"]
    assert await rows.approved(names) == dict.fromkeys(done, 1)


async def test_an_empty_batch_is_over_at_once(rows: Batches):
    b = await rows.ready([])
    await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
