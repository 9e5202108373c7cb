"""A batch's lines become payments, each once: among several workers, when it is stopped, and when there is nothing to do."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scrooge.domain.batch import Act, Status
from scrooge.flows.scrooge import now
from scrooge.ids import hex_of, new_id
from scrooge.storage import batches, chunks
from scrooge.storage.batches import Pacing
from tests.batches.rows import Batches, batches_of
from tests.flows.test_payments import follow
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


async def of_bin(world: World, rows: Batches, iin: str) -> str:
    credentials = [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]
    card = {"brand": "visa", "iin": iin, "last4": "4242", "exp": "2031-12"}
    body = {"customer": "user-1", "card": card, "credentials": credentials}
    status, made = await world.post("/v1/instruments", body)
    assert status == 201, made
    return await rows.mandate(made["id"])


async def test_cards_of_one_bin_go_no_faster_than_they_may_and_hold_up_no_other(world: World, rows: Batches):
    names, slow, other = references(36), await of_bin(world, rows, "424242"), await of_bin(world, rows, "411111")
    lines = [(name, slow if i < 30 else other) for i, name in enumerate(names)]
    b = await rows.ready(lines, pacing=Pacing(per_bin=10))
    began = time.monotonic()
    await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
    assert time.monotonic() - began >= 2.4  # 30 at 10 a second, less what may be caught up with
    assert await rows.approved(names) == dict.fromkeys(names, 1)
    made = await rows.sql.fetch("SELECT reference FROM payments WHERE reference = ANY ($1) ORDER BY created_at", names)
    assert {r["reference"] for r in made[-10:]} <= set(names[:30]), "the last in the file were not the last to go"


async def test_the_end_of_the_window_says_what_is_left(world: World, rows: Batches):
    names, card = references(60), await rows.mandate()
    b = await rows.ready([(name, card) for name in names], pacing=Pacing(max_tps=15), deadline=now() + 2_000_000)
    b = await rows.until(await rows.act(b, Act.START), Status.EXPIRED)
    for _ in range(300):
        _, found = await world.get(f"/v1/batches/{b.id}")
        async with world.http.get(f"{world.api_url}/v1/batches/{b.id}/results", headers=world.headers()) as answer:
            told = [json.loads(line) for line in (await answer.read()).splitlines()]
        if len(told) == 60:
            break
        await asyncio.sleep(0.1)
    assert found["because"] == "its window closed"
    left = [t["reference"] for t in told if t["status"] == "left"]
    sent = [t["reference"] for t in told if t["status"] == "captured"]
    assert [t["line"] for t in told] == list(range(1, 61))
    assert (found["counts"]["left"], found["counts"]["captured"], found["counts"]["queued"]) == (
        len(left),
        len(sent),
        0,
    )
    assert 0 < len(left) < 60
    assert len(left) + len(sent) == 60
    assert await rows.approved(names) == dict.fromkeys(sent, 1)


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
    b = await rows.ready([(name, (good, gone)[i % 2]) for i, name in enumerate(names)], pacing=Pacing(max_tps=10))
    b = await rows.act(b, Act.START)
    while not await rows.approved(names[1::2]):
        await asyncio.sleep(0.05)
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


async def asked_to_authenticate(world: World, rows: Batches) -> dict[str, Any]:
    """The payment with which a payer is about to agree."""
    instrument = await world.instrument(stripe="pm_card_threeDSecure2Required")
    status, p = await world.pay(instrument=instrument, save_for={"use": "recurring"}, return_url="https://a.example/")
    assert (status, p["status"]) == (201, "requires_action"), p
    return p


async def uploaded(world: World, lines: list[dict[str, Any]]) -> str:
    """A batch of these lines, over the API."""
    status, made = await world.post("/v1/batches", {"name": "renewals"})
    assert status == 201, made
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    url = f"{world.api_url}/v1/batches/{made['id']}/input"
    async with world.http.put(url, data=body, headers=world.headers()) as answer:
        assert answer.status == 200, await answer.text()
    return made["id"]


async def test_a_line_waits_while_its_payer_is_asked_to_agree_and_the_others_do_not(world: World, rows: Batches):
    names, p, good = references(4), await asked_to_authenticate(world, rows), await rows.mandate()
    lines = [
        {"custom_id": name, "reference": name, "amount": {"value": "7.00", "currency": "EUR"}, "mandate": mandate}
        for name, mandate in zip(names, (good, p["mandate"], good, new_id("man", 5)), strict=True)
    ]
    batch = await uploaded(world, lines)
    found = await batches.read(rows.db, batch)
    assert found is not None
    assert found.rejected == 1, "only the mandate that nobody knows"
    b = await rows.act(found, Act.START)
    for _ in range(100):
        if [line["state"] for line in await rows.lines(b)] == ["done", "queued", "done", "rejected"]:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    assert [line["state"] for line in await rows.lines(b)] == ["done", "queued", "done", "rejected"]
    await follow(world, p["next_action"]["url"], "success")
    await rows.until(b, Status.COMPLETED)
    # It is asked for now; this card is declined whenever its payer is not there.
    assert [line["status"] for line in await rows.lines(b)] == ["captured", "declined", "captured", None]
    assert await rows.approved(names) == dict.fromkeys(names[:3:2], 1)


async def test_a_payer_who_does_not_agree_holds_up_a_batch_without_a_window_for_an_hour_at_most(
    world: World, rows: Batches
):
    [name], p = references(1), await asked_to_authenticate(world, rows)
    b = await rows.act(await rows.ready([(name, p["mandate"])]), Act.START)
    await asyncio.sleep(1)
    assert [line["state"] for line in await rows.lines(b)] == ["queued"]
    await rows.sql.execute(
        "UPDATE batches SET started_at = started_at - interval '61 minutes' WHERE id = $1", hex_of(b.id)
    )
    await rows.until(b, Status.COMPLETED)
    [line] = await rows.lines(b)
    assert (line["state"], json.loads(line["error"])["rule"]) == ("refused", "mandate_pending")


async def test_an_empty_batch_is_over_at_once(rows: Batches):
    b = await rows.ready([])
    await rows.until(await rows.act(b, Act.START), Status.COMPLETED)
