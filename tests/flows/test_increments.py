"""Raising an authorization at both PSPs, on the wire: by what was asked, once, whatever happens to the answer."""

import asyncio
import uuid
from typing import Any

import pytest
from tests.flows.test_crashes import MODIFY, dying
from tests.flows.test_payments import PSPS, amount, effects, until
from tests.world import World

REFUSING = {"stripe": "pm_card_sandbox_incrementDeclined", "adyen": "stored_increment_declined"}


async def held(world: World, psp: str, **more: Any) -> dict[str, Any]:
    status, p = await world.pay(psp, capture="manual", incremental=True, value="10.00", **more)
    assert (status, p["status"], p["incremental"]) == (201, "authorized", True), p
    return p


async def raised(world: World, p: dict[str, Any], value: str, **more: Any) -> tuple[int, dict[str, Any]]:
    return await world.post(f"/v1/payments/{p['id']}/increments", {"amount": amount(value)}, **more)


async def until_authorized(world: World, p: dict[str, Any], value: str) -> dict[str, Any]:
    return await until(world, p["id"], lambda p: p["amount_authorized"]["value"] == value)


@pytest.mark.parametrize("psp", PSPS)
async def test_what_was_added_can_be_captured_and_the_books_hold_it(world: World, psp: str):
    p = await held(world, psp)
    status, increment = await raised(world, p, "3.50")
    assert status == 201, increment
    assert (increment["object"], increment["id"][:4]) == ("increment", "inc_")
    assert (increment["amount"], increment["total"]) == (amount("3.50"), amount("13.50"))
    p = await until_authorized(world, p, "13.50")
    assert (p["status"], p["amount"]["value"]) == ("authorized", "10.00")
    assert (await raised(world, p, "1.00"))[0] == 201
    await until_authorized(world, p, "14.50")
    _, listed = await world.get(f"/v1/payments/{p['id']}/increments")
    assert [i["total"]["value"] for i in listed["data"]] == ["13.50", "14.50"]
    status, capture = await world.post(f"/v1/payments/{p['id']}/captures", {})
    assert (status, capture["amount"]["value"]) == (201, "14.50"), capture
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert (p["amount_captured"]["value"], p["amount_voided"]["value"]) == ("14.50", "0.00")
    assert effects(await world.truth(), p["id"]) == {
        ("authorize", "approved", 1000): 1, ("increment", "approved", 350): 1, ("increment", "approved", 100): 1,
        ("capture", "approved", 1450): 1,
    }  # fmt: skip
    assert [j["effect"] for j in p["journals"]].count("increment_approved") == 2
    await world.events(p["id"], "authorize_approved", "increment_approved", "capture_approved")
    _, again = await world.post(f"/v1/payments/{p['id']}/sync", {})
    assert again["amount_authorized"]["value"] == "14.50"


@pytest.mark.parametrize("psp", PSPS)
async def test_a_void_releases_what_was_added_too(world: World, psp: str):
    p = await held(world, psp)
    await raised(world, p, "5.00")
    p = await until_authorized(world, p, "15.00")
    _, p = await world.post(f"/v1/payments/{p['id']}/sync", {})
    assert (p["status"], p["amount_authorized"]["value"]) == ("authorized", "15.00"), "asked, and believed"
    assert (await world.post(f"/v1/payments/{p['id']}/voids", {}))[0] == 201
    p = await until(world, p["id"], lambda p: p["status"] == "voided")
    assert p["amount_voided"]["value"] == "15.00"
    assert effects(await world.truth(), p["id"])["void", "approved", 1500] == 1


@pytest.mark.parametrize("psp", PSPS)
async def test_an_increment_that_the_issuer_refuses_leaves_the_old_authorization(world: World, psp: str):
    p = await held(world, psp, token=REFUSING[psp])
    status, increment = await raised(world, p, "5.00")
    assert status == 201
    p = await until(world, p["id"], lambda p: p["attempts"][-1]["status"] == "declined")
    assert p["attempts"][-1]["decline"]["category"] == "insufficient_funds"
    assert (p["status"], p["amount_authorized"]["value"], p["decline"]) == ("authorized", "10.00", None)
    assert (await world.post(f"/v1/payments/{p['id']}/captures", {}))[0] == 201
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert p["amount_captured"]["value"] == "10.00"


@pytest.mark.parametrize("fault", ["charge_then_drop", "charge_then_500", "drop_request", "wrong_amount"])
@pytest.mark.parametrize("psp", PSPS)
async def test_an_answer_that_is_lost_is_found_out_and_nothing_is_added_twice(world: World, psp: str, fault: str):
    p = await held(world, psp)
    await world.fault(fault, connector=psp)
    try:
        status, increment = await raised(world, p, "2.00")
    finally:
        await world.no_faults()
    assert status in {201, 202}, increment
    p = await until(world, p["id"], lambda p: p["attempts"][-1]["status"] == "approved")
    assert p["amount_authorized"]["value"] == "12.00"
    assert effects(await world.truth(), p["id"]) == {
        ("authorize", "approved", 1000): 1, ("increment", "approved", 200): 1,
    }  # fmt: skip


@pytest.mark.parametrize("psp", PSPS)
async def test_the_same_key_raises_once_and_the_same_reference_names_the_first(world: World, psp: str):
    p = await held(world, psp)
    body, key = {"amount": amount("2.00"), "reference": "night-2"}, uuid.uuid4().hex
    path = f"/v1/payments/{p['id']}/increments"
    answers = await asyncio.gather(*(world.post(path, body, idempotency=key) for _ in range(8)))
    assert {status for status, _ in answers} <= {201, 409}
    await until_authorized(world, p, "12.00")
    status, again = await world.post(path, body, idempotency=key)
    assert (status, again["total"]["value"]) == (201, "12.00")
    status, problem = await world.post(path, body)
    assert (status, problem["code"], problem["existing_id"]) == (409, "reference_exists", again["id"])
    assert effects(await world.truth(), p["id"])["increment", "approved", 200] == 1


async def test_of_two_at_once_one_is_asked(world: World):
    p = await held(world, "stripe")
    await world.fault("slow", connector="stripe", delay_ms=1500)
    try:
        answers = await asyncio.gather(raised(world, p, "1.00"), raised(world, p, "2.00"))
    finally:
        await world.no_faults()
    assert sorted(status for status, _ in answers) == [201, 409]
    assert [a["code"] for status, a in answers if status == 409] == ["increment_in_flight"]


async def test_while_an_increment_is_out_nothing_is_asked_that_depends_on_it(world: World):
    p = await held(world, "adyen")
    await world.fault("late_notification", connector="adyen", delay_ms=4000)
    try:
        assert (await raised(world, p, "5.00"))[1]["status"] == "pending"
    finally:
        await world.no_faults()
    for path, body in (("voids", {}), ("captures", {"final": True}), ("increments", {"amount": amount("1.00")})):
        status, problem = await world.post(f"/v1/payments/{p['id']}/{path}", body)
        assert (status, problem["code"]) == (409, "increment_in_flight"), path
    assert (await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount("4.00")}))[0] == 201
    p = await until_authorized(world, p, "15.00")
    await until(world, p["id"], lambda p: p["amount_captured"]["value"] == "4.00")


async def test_what_cannot_be_raised_is_refused_before_anybody_is_asked(world: World):
    p = await held(world, "stripe")
    _, plain = await world.pay("stripe", capture="manual")
    _, sale = await world.pay("stripe")
    _, poor = await world.pay("stripe", capture="manual", token="pm_card_chargeDeclined", incremental=True)
    refusals = [
        (p, amount("1.00", "USD"), "currency_mismatch"),
        (p, amount("0.00"), "amount_must_be_positive"),
        (p, amount("1.5"), "amount_scale_mismatch"),
        (p, amount("9999999999999.99"), "amount_out_of_range"),
        (plain, amount("1.00"), "unsupported_operation"),
        (sale, amount("1.00"), "authorization_captured"),
        (poor, amount("1.00"), "authorization_not_approved"),
    ]
    for payment, by, code in refusals:
        status, problem = await world.post(f"/v1/payments/{payment['id']}/increments", {"amount": by})
        assert (status >= 400, problem["code"]) == (True, code)
    status, problem = await world.pay("stripe", incremental=True)
    assert (status, problem["code"], problem["param"]) == (422, "invalid_field", "incremental")
    assert not [t for t in await world.truth() if t["operation"] == "increment" and t["reference"].startswith(p["id"])]


async def test_stripe_raises_an_authorization_ten_times_and_no_more(world: World):
    p = await held(world, "stripe")
    for _ in range(10):
        assert (await raised(world, p, "1.00"))[0] == 201
    status, problem = await raised(world, p, "1.00")
    assert (status, problem["code"]) == (422, "unsupported_operation")


async def test_a_crash_while_raising_raises_once(world: World):
    async def crashed(point: str, psp: str) -> None:
        p = await held(world, psp)
        body: dict[str, object] = {"amount": amount("2.50")}
        await dying(world, point, body, f"/v1/payments/{p['id']}/increments")
        p = await until_authorized(world, p, "12.50")
        assert effects(await world.truth(), p["id"]) == {
            ("authorize", "approved", 1000): 1, ("increment", "approved", 250): 1,
        }, (point, psp)  # fmt: skip

    for psp, token in (("stripe", "pm_card_visa"), ("adyen", "stored_visa")):
        await world.instrument(**{psp: token})
    await asyncio.gather(*(crashed(point, psp) for point in MODIFY for psp in PSPS))
