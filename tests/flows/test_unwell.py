"""A policy among real processes: what it drains blocks nothing begun, deaths cost no money, and all processes have it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.conftest import opened
from tests.flows.test_crashes import dying
from tests.flows.test_payments import amount, effects, until
from tests.world import World

from scrooge.ids import hex_of

BOTH = {"stripe": "pm_card_visa", "adyen": "stored_visa"}
KINDS = ("captures", "voids", "refunds")
FINAL = {"captures": "captured", "voids": "voided", "refunds": "refunded"}
DEATHS = ("record.after", "send.after", "apply.after", "answer.before")


@pytest.fixture
async def world(server_url: str, template_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """One for each test: a shared one has learned from others' faults, and an unwell account teaches nothing."""
    async with opened(server_url, template_url, tmp_path) as world:
        yield world


@pytest.fixture
async def policy(world: World) -> AsyncIterator[str]:
    """Either PSP; an account that was found unwell stays away for as long as the test."""
    scorer = {"health": {"pause_seconds": 120, "pause_most": 240}}
    document = {"name": f"p-{uuid.uuid4().hex[:8]}", "accounts": {name: {} for name in BOTH}, "scorer": scorer}
    status, made = await world.post("/v1/routing/policies", {"document": document})
    assert status == 201, made
    status, active = await world.post(f"/v1/routing/policies/{made['id']}/activate", {"expect_active": None})
    assert status == 200, active
    try:
        await explained(world, world.api_url, by(document["name"]))
        yield made["id"]
    finally:
        assert (await world.post("/v1/routing/rollback", {"to": None, "reason": "the test is over"}))[0] == 200
        await explained(world, world.api_url, lambda found: found["policy"] is None)


def by(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: (found["policy"] or "").startswith(f"{name}@")


async def explained(world: World, at: str, ready: Callable[[dict[str, Any]], bool]) -> float:
    """Seconds until the process there says so."""
    body, began = {"payment": {"amount": amount("5.00")}}, time.monotonic()
    while time.monotonic() - began < 30:
        status, found = await world.post("/v1/routing/explain", body, at=at)
        assert status == 200, found
        if ready(found):
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def decision_of(world: World, payment: str) -> dict[str, Any]:
    _, found = await world.get(f"/v1/payments/{payment}?expand=routing")
    return found["routing"][-1]["decision"]


async def begun(world: World, card: str) -> dict[str, str]:
    """At Stripe, one to capture, one to void and one to refund."""
    found = {}
    for kind in KINDS:
        capture = "automatic" if kind == "refunds" else "manual"
        status, p = await world.pay(instrument=card, connector_account="stripe", capture=capture)
        assert status == 201, p
        found[kind] = p["id"]
    return found


async def modified(world: World, payment: str, kind: str) -> tuple[int, dict[str, Any]]:
    body = {"reference": uuid.uuid4().hex} if kind == "refunds" else {}
    return await world.post(f"/v1/payments/{payment}/{kind}", body)


async def test_an_account_that_fails_is_drained_and_switched_off_and_blocks_nothing_of_its_earlier_payments(
    world: World, policy: str
):
    card = await world.instrument(**BOTH)
    while_down, after = await begun(world, card), await begun(world, card)
    await world.fault("charge_then_drop", connector="stripe")
    status, lost = await world.pay(instrument=card, connector_account="stripe")
    assert (status, lost["outcome_certainty"]) == (202, "unknown")
    await world.no_faults()
    await world.fault("outage", connector="stripe")
    try:
        for _ in range(6):
            assert (await world.pay(instrument=card, connector_account="stripe"))[0] == 202
        for _ in range(60):  # Until it is found unwell.
            status, p = await world.pay(instrument=card)
            found = await decision_of(world, p["id"])
            if "stripe" in found["excluded"]:
                break
        assert "stripe" in found["excluded"], found
        assert (status, p["status"], p["connector_account"]) == (201, "captured", "adyen")
        for kind, payment in while_down.items():
            status, asked = await modified(world, payment, kind)
            assert (status, asked["connector_account"], asked["outcome_certainty"]) == (202, "stripe", "unknown"), kind
        body = {"connector_account": "stripe", "state": "off", "reason": "their status page is red"}
        status, switch = await world.post("/v1/routing/switches", body)
        assert status == 201, switch
        await explained(world, world.api_url, lambda found: "stripe" not in found["accounts"])
        status, refused = await world.pay(instrument=card, connector_account="stripe")
        assert (status, refused["status"]) == (201, "failed")
        assert refused["failure"]["reasons"]["stripe"] == "switched to off: their status page is red"
    finally:
        await world.no_faults()
    try:
        for kind, payment in after.items():  # Still switched off, and still unwell for all that is known.
            status, done = await modified(world, payment, kind)
            assert (status, done["status"], done["connector_account"]) == (201, "succeeded", "stripe"), kind
        status, p = await world.pay(instrument=card)
        assert (status, p["connector_account"]) == (201, "adyen")
        resolved = await until(world, lost["id"], lambda p: p["outcome_certainty"] == "certain")
        assert (resolved["status"], resolved["connector_account"]) == ("captured", "stripe")
        for kind, payment in while_down.items():
            await until(world, payment, lambda p, kind=kind: p["status"] == FINAL[kind])
        truth = await world.truth()
        for kind, payment in [*while_down.items(), *after.items()]:
            assert effects(truth, payment)[kind[:-1], "approved", 1299] == 1, kind
        assert effects(truth, lost["id"]) == {("sale", "approved", 1299): 1}
        assert effects(truth, refused["id"]) == {}
    finally:
        url = f"{world.api_url}/v1/routing/switches/{switch['id']}"
        async with world.http.delete(url, headers=world.headers()) as ended:
            assert ended.status == 200


async def card_of(world: World, number: int) -> tuple[str, str]:
    """An instrument whose first digits no other payment has: what is learned of them is learned of its payments."""
    iin = f"4{number:07d}"
    credentials = [{"connector_account": c, "psp_token": t} for c, t in BOTH.items()]
    body = {"customer": "user-1", "card": {"brand": "visa", "iin": iin, "last4": "4242"}, "credentials": credentials}
    status, made = await world.post("/v1/instruments", body)
    assert status == 201, made
    return made["id"], iin


async def evidence(sql: asyncpg.Connection, iin: str) -> float:
    words = "SELECT coalesce(sum(precision), 0) FROM routing_effects WHERE key LIKE '%\"' || $1 || '\"%'"
    return await sql.fetchval(words, iin)


async def test_a_death_with_a_policy_charges_once_decides_once_and_teaches_once_at_most(
    world: World, policy: str, sql: asyncpg.Connection
):
    card, iin = await card_of(world, 1)
    assert (await world.pay(instrument=card))[0] == 201
    for _ in range(300):
        if once := await evidence(sql, iin):
            break
        await asyncio.sleep(0.1)
    assert once > 0

    async def died(point: str, number: int) -> str:
        card, iin = await card_of(world, number)
        body: dict[str, object] = {"reference": uuid.uuid4().hex, "amount": amount("5.00"), "instrument": card}
        answer = await dying(world, point, body)
        p = await until(world, answer["id"], lambda p: p["outcome_certainty"] == "certain")
        assert p["status"] == "captured", point
        assert effects(await world.truth(), p["id"]) == {("sale", "approved", 500): 1}, point
        rows = await sql.fetch(
            "SELECT attempt_id, decision FROM routing_decisions WHERE payment_id = $1", hex_of(p["id"])
        )
        assert [row["attempt_id"].hex for row in rows] == [hex_of(a["id"]) for a in p["attempts"]], point
        assert json.loads(rows[0]["decision"])["policy"].startswith("p-")
        return iin

    # One after the other: they look at the database by one connection.
    found = [await died(point, number) for number, point in enumerate(DEATHS, 2)]
    await asyncio.sleep(5)  # Whoever has a lesson to tell has told it.
    for point, iin in zip(DEATHS, found, strict=True):
        assert await evidence(sql, iin) < 1.5 * once, point


async def test_a_policy_activated_through_one_process_is_used_by_the_other(world: World, policy: str):
    name = uuid.uuid4().hex
    other = await asyncio.to_thread(world.start_beside, name)
    try:
        document = {"name": f"p-{name[:8]}", "accounts": {"adyen": {}}}
        _, made = await world.post("/v1/routing/policies", {"document": document})
        status, _ = await world.post(f"/v1/routing/policies/{made['id']}/activate", {"expect_active": policy})
        assert status == 200
        # A second is promised; how long a busy machine takes is not what is tested.
        assert await explained(world, other, by(document["name"])) < 15
        status, p = await world.pay(instrument=await world.instrument(**BOTH), at=other)
        assert (status, p["connector_account"]) == (201, "adyen")
        assert by(document["name"])(await decision_of(world, p["id"]))
    finally:
        world.kill(name)
        del world.processes[name]
