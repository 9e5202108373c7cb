"""A card is verified for nothing at both PSPs, on the wire: once, and no money is in it."""

import asyncio
import uuid
from typing import Any

import pytest
from tests.flows.test_crashes import dying
from tests.flows.test_payments import PSPS, effects
from tests.world import TOKENS, World

DECLINED = {"stripe": "pm_card_visa_chargeDeclinedStolenCard", "adyen": "stored_stolen_card"}
CHALLENGED = {"stripe": "pm_card_authenticationRequired", "adyen": "stored_challenge_always"}


async def verified(world: World, psp: str, token: str, **more: Any) -> tuple[int, dict[str, Any]]:
    instrument = await world.instrument(**{psp: token})
    to = {name: more.pop(name, None) for name in ("idempotency", "at")}
    body = {"reference": f"check-{uuid.uuid4().hex}", "currency": "EUR", **more}
    return await world.post(f"/v1/instruments/{instrument}/verifications", body, **to)


async def until(world: World, v: dict[str, Any], status: str) -> dict[str, Any]:
    for _ in range(600):
        code, v = await world.get(f"/v1/verifications/{v['id']}")
        assert code == 200, v
        if v["status"] == status:
            return v
        await asyncio.sleep(0.1)
    raise AssertionError(v)


@pytest.mark.parametrize("psp", PSPS)
async def test_a_card_is_verified_and_nothing_moves(world: World, psp: str):
    status, v = await verified(world, psp, TOKENS[psp])
    assert (status, v["status"], v["object"], v["id"][:4]) == (201, "verified", "verification", "ver_"), v
    assert v["psp_reference"]
    assert not effects(await world.truth(), v["payment"])
    _, p = await world.get(f"/v1/payments/{v['payment']}?expand=attempts,journals")
    assert ([a["operation"] for a in p["attempts"]], p["journals"]) == (["verify"], [])
    _, listed = await world.get(f"/v1/payments?reference={v['reference']}")
    assert listed["data"] == []
    [event] = await world.events(v["payment"], "verify_approved")
    assert (event["type"], event["data"]["id"]) == ("verify_approved", v["id"])
    for path in ("captures", "voids", "authorizations"):
        code, problem = await world.post(f"/v1/payments/{v['payment']}/{path}", {})
        assert code == 409, problem


@pytest.mark.parametrize("psp", PSPS)
async def test_a_card_that_its_issuer_refuses_is_declined_with_the_reason(world: World, psp: str):
    status, v = await verified(world, psp, DECLINED[psp])
    assert (status, v["status"], v["decline"]["category"]) == (201, "declined", "stolen_card")


@pytest.mark.parametrize(("result", "ends"), [("success", "verified"), ("fail", "declined")])
@pytest.mark.parametrize("psp", PSPS)
async def test_the_payer_authenticates_and_comes_back(world: World, psp: str, result: str, ends: str):
    status, v = await verified(world, psp, CHALLENGED[psp], return_url="https://shop.example/r")
    assert (status, v["status"]) == (201, "requires_action"), v
    page = v["next_action"]["url"]
    async with world.http.post(page, data={"result": result}, allow_redirects=False) as answer:
        back = answer.url.join(type(answer.url)(answer.headers["Location"]))
    async with world.http.get(back, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://shop.example/r")
    await until(world, v, ends)


@pytest.mark.parametrize("fault", ["charge_then_drop", "charge_then_500", "drop_request"])
@pytest.mark.parametrize("psp", PSPS)
async def test_an_answer_that_is_lost_is_found_out(world: World, psp: str, fault: str):
    await world.instrument(**{psp: TOKENS[psp]})
    await world.fault(fault, connector=psp)
    try:
        status, v = await verified(world, psp, TOKENS[psp])
    finally:
        await world.no_faults()
    assert status in {201, 202}, v
    await until(world, v, "verified")


async def test_the_same_key_verifies_once_and_a_reference_is_used_once(world: World):
    instrument, key = await world.instrument(adyen="stored_visa"), uuid.uuid4().hex
    body = {"reference": uuid.uuid4().hex, "currency": "EUR"}
    path = f"/v1/instruments/{instrument}/verifications"
    answers = await asyncio.gather(*(world.post(path, body, idempotency=key) for _ in range(8)))
    assert {status for status, _ in answers} <= {201, 409}
    assert len({v["id"] for status, v in answers if status == 201}) == 1
    status, problem = await world.post(path, body)
    assert (status, problem["code"]) == (409, "reference_exists")
    status, problem = await world.post(path, {"reference": uuid.uuid4().hex, "currency": "ABC"})
    assert (status, problem["code"]) == (422, "unknown_currency")
    _, p = await world.pay("stripe")
    assert (await world.get(f"/v1/verifications/{p['id'].replace('pay_', 'ver_')}"))[0] == 404


async def test_a_crash_while_verifying_asks_once(world: World):
    async def crashed(point: str, psp: str) -> None:
        body: dict[str, object] = {"reference": uuid.uuid4().hex, "currency": "EUR"}
        instrument = await world.instrument(**{psp: TOKENS[psp]})
        v = await dying(world, point, body, f"/v1/instruments/{instrument}/verifications")
        await until(world, v, "verified")
        if psp == "stripe":
            url = f"{world.sandbox_url}/stripe/v1/setup_intents?limit=100"
            async with world.http.get(url, headers={"Authorization": f"Bearer {world.stripe_key}"}) as answer:
                found = (await answer.json())["data"]
            assert sum(s["metadata"].get("payment") == v["payment"] for s in found) == 1, point

    for psp in PSPS:
        await world.instrument(**{psp: TOKENS[psp]})
    await asyncio.gather(*(crashed(point, psp) for point in ("record.after", "send.after") for psp in PSPS))
