"""Payments with tenders at both PSPs, on the wire: all of them are paid, or none is, and the books say so."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest
from tests.conftest import opened
from tests.flows.test_fees import audited
from tests.flows.test_payments import amount, effects, follow, until
from tests.world import World

from scrooge.ids import hex_of

CARDS = {"stripe": "pm_card_visa", "adyen": "stored_visa"}


async def body_of(world: World, *tokens: tuple[str, str], first: str = "12.50", **more: Any) -> dict[str, Any]:
    wanted = tokens or tuple(CARDS.items())
    instruments = [await world.instrument(**{psp: token}) for psp, token in wanted]
    return {
        "reference": f"split-{uuid.uuid4().hex}", "amount": amount("30.00"), "customer": "user-1",
        "tenders": [{"instrument": instruments[0], "amount": first}, {"instrument": instruments[1]}], **more,
    }  # fmt: skip


async def split(world: World, *tokens: tuple[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
    return await world.post("/v1/payments", await body_of(world, *tokens, **more))


async def settled(world: World, p: dict[str, Any], status: str) -> dict[str, Any]:
    """Once the whole is that, and nothing of it is out."""
    return await until(world, p["id"], lambda p: p["status"] == status and p["outcome_certainty"] == "certain")


async def parts_of(world: World, p: dict[str, Any]) -> list[dict[str, Any]]:
    _, listed = await world.get(f"/v1/payments?part_of={p['id']}")
    return listed["data"]


async def test_both_tenders_are_captured_and_the_payment_says_so_once(world: World):
    status, p = await split(world)
    assert status in {201, 202}, p
    p = await settled(world, p, "captured")
    assert (p["object"], p["amount"], p["amount_captured"]) == ("payment", amount("30.00"), amount("30.00"))
    assert [(t["amount"]["value"], t["status"]) for t in p["tenders"]] == [("12.50", "captured"), ("17.50", "captured")]
    truth = await world.truth()
    first, second = (t["payment"] for t in p["tenders"])
    assert effects(truth, first) == {("authorize", "approved", 1250): 1, ("capture", "approved", 1250): 1}
    assert effects(truth, second) == {("authorize", "approved", 1750): 1, ("capture", "approved", 1750): 1}
    assert [e["type"] for e in await world.events(p["id"], "sale_approved")] == ["sale_approved"]
    parts = await parts_of(world, p)
    assert [part["part_of"] for part in parts] == [p["id"], p["id"]]
    _, listed = await world.get(f"/v1/payments?reference={p['reference']}")
    assert [one["id"] for one in listed["data"]] == [p["id"]]
    _, newest = await world.get("/v1/payments?limit=100")
    assert not {first, second} & {one["id"] for one in newest["data"]}


async def test_a_declined_tender_gives_back_the_one_before_it(world: World):
    _, p = await split(world, ("stripe", "pm_card_visa"), ("adyen", "stored_insufficient_funds"))
    assert (p["status"], p["decline"]["category"]) == ("declined", "insufficient_funds"), p
    p = await until(world, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "declined"])
    truth = effects(await world.truth(), p["tenders"][0]["payment"])
    assert truth == {("authorize", "approved", 1250): 1, ("void", "approved", 1250): 1}
    assert [e["type"] for e in await world.events(p["id"], "sale_declined")] == ["sale_declined"]


async def test_a_first_tender_that_is_declined_ends_it_before_the_second_is_asked(world: World):
    _, p = await split(world, ("stripe", "pm_card_chargeDeclined"), ("adyen", "stored_visa"))
    assert p["status"] == "declined", p
    assert [t["payment"] is None for t in p["tenders"]] == [False, True]


async def held(world: World, *tokens: tuple[str, str], **more: Any) -> dict[str, Any]:
    status, p = await split(world, *tokens, capture="manual", **more)
    assert (status, p["status"]) == (201, "authorized"), p
    return p


async def move(world: World, p: dict[str, Any], what: str, **body: Any) -> tuple[int, dict[str, Any]]:
    return await world.post(f"/v1/payments/{p['id']}/{what}", body)


async def test_a_final_capture_fills_the_tenders_in_order_and_releases_the_rest(world: World):
    p = await held(world, ("stripe", "pm_card_visa"), ("adyen", "stored_visa"))
    status, capture = await move(world, p, "captures", amount=amount("10.00"), final=True, reference="ship-1")
    assert status in {201, 202}, capture
    assert (capture["id"][:4], capture["amount"]["value"], capture["reference"]) == ("cap_", "10.00", "ship-1")
    shares = [(share["operation"], share["amount"]["value"]) for share in capture["shares"]]
    assert shares == [("capture", "10.00"), ("void", "17.50")]
    p = await settled(world, p, "captured")
    assert (p["amount_captured"]["value"], p["amount_voided"]["value"]) == ("10.00", "20.00")
    assert [t["status"] for t in p["tenders"]] == ["captured", "voided"]
    _, listed = await world.get(f"/v1/payments/{p['id']}/captures")
    assert [(c["id"], c["status"]) for c in listed["data"]] == [(capture["id"], "succeeded")]
    assert [e["type"] for e in await world.events(p["id"], "capture_approved")] == [
        "authorize_approved", "capture_approved",
    ]  # fmt: skip


async def test_refunds_empty_the_tenders_from_the_last_one_or_the_one_that_is_named(world: World):
    p = await held(world)
    await move(world, p, "captures")
    p = await settled(world, p, "captured")
    status, refund = await move(world, p, "refunds", amount=amount("20.00"), reference="rma-1")
    assert status in {201, 202}, refund
    assert [share["amount"]["value"] for share in refund["shares"]] == ["2.50", "17.50"]
    p = await until(world, p["id"], lambda p: p["amount_refunded"]["value"] == "20.00")
    assert p["status"] == "partially_refunded"
    first = p["tenders"][0]["instrument"]["id"]
    status, problem = await move(world, p, "refunds", amount=amount("11.00"), reference="rma-2", tender=first)
    assert (status, problem["code"], problem["room"]["value"]) == (409, "amount_exceeds_room", "10.00")
    status, again = await move(world, p, "refunds", amount=amount("1.00"), reference="rma-1")
    assert (status, again["code"], again["existing_id"]) == (409, "reference_exists", refund["id"])
    status, refund = await move(world, p, "refunds", reference="rma-2", tender=first)
    assert (status, refund["amount"]["value"]) == (201, "10.00"), refund
    p = await settled(world, p, "refunded")
    truth = await world.truth()
    assert [
        effects(truth, t["payment"])["refund", "approved", n] for t, n in zip(p["tenders"], (250, 1750), strict=True)
    ] == [1, 1]
    assert effects(truth, p["tenders"][0]["payment"])["refund", "approved", 1000] == 1
    await world.events(p["id"], "refund_approved")


async def test_a_void_releases_every_tender(world: World):
    p = await held(world)
    status, problem = await move(world, p, "voids", amount=amount("10.00"))
    assert (status, problem["code"]) == (422, "unsupported_operation")
    status, void = await move(world, p, "voids")
    assert (status, void["amount"]["value"]) == (201, "30.00"), void
    p = await until(world, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "voided"])
    assert (p["status"], p["amount_voided"]["value"]) == ("voided", "30.00")
    assert (await move(world, p, "voids"))[0] == 409
    assert (await move(world, p, "captures"))[1]["code"] == "authorization_not_approved"
    await world.events(p["id"], "void_approved")


@pytest.mark.parametrize("result", ["success", "fail"])
async def test_while_the_payer_authenticates_it_waits_and_then_it_goes_on(world: World, result: str):
    tokens = ("stripe", "pm_card_visa"), ("adyen", "stored_challenge_always")
    _, p = await split(world, *tokens, return_url="https://shop.example/return")
    assert p["status"] == "requires_action", p
    assert [t["status"] for t in p["tenders"]] == ["authorized", "requires_action"]
    await follow(world, p["next_action"]["url"], result)
    if result == "success":
        await settled(world, p, "captured")
        await world.events(p["id"], "sale_action_required", "sale_approved")
    else:
        await settled(world, p, "declined")
        p = await until(world, p["id"], lambda p: p["tenders"][0]["status"] == "voided")
        await world.events(p["id"], "sale_declined")


async def test_a_void_while_the_payer_is_away_takes_back_what_is_held_and_what_comes(world: World):
    tokens = ("stripe", "pm_card_visa"), ("adyen", "stored_challenge_always")
    _, p = await split(world, *tokens, return_url="https://shop.example/return")
    status, void = await move(world, p, "voids")
    assert (status, void["status"], void["amount"]["value"]) == (201, "pending", "30.00"), void
    await follow(world, p["next_action"]["url"], "success")
    p = await until(world, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "voided"])
    assert p["status"] == "voided"
    await world.events(p["id"], "void_approved")


async def test_one_key_and_one_reference_make_one_payment(world: World):
    body, key = await body_of(world), uuid.uuid4().hex
    answers = await asyncio.gather(*(world.post("/v1/payments", body, idempotency=key) for _ in range(6)))
    assert {status for status, _ in answers} <= {201, 202, 409}
    ids = {a["id"] for status, a in answers if status != 409}
    assert len(ids) == 1
    status, other = await world.post("/v1/payments", body)
    assert (status, other["code"], other["existing_id"]) == (409, "reference_exists", *ids)
    p = await settled(world, {"id": ids.pop()}, "captured")
    truth = await world.truth()
    assert [effects(truth, t["payment"]).total() for t in p["tenders"]] == [2, 2]


async def test_a_part_moves_with_its_whole_alone(world: World):
    p = await held(world)
    part = p["tenders"][0]["payment"]
    for what, body in (("captures", {}), ("voids", {}), ("refunds", {"reference": "r"}), ("authorizations", {})):
        status, problem = await world.post(f"/v1/payments/{part}/{what}", body)
        assert (status, problem["code"], problem["payment"]) == (409, "part_of_split", p["id"]), what
    assert (await world.post(f"/v1/payments/{p['id']}/authorizations", {}))[1]["code"] == "part_of_split"


async def test_tenders_that_cannot_be_are_refused_before_anybody_is_asked(world: World):
    good = await body_of(world)
    one, two = good["tenders"]
    refusals = [
        ({"tenders": [one, {**two, "amount": "17.49"}]}, "tenders_differ", "tenders"),
        ({"tenders": [{**one, "amount": "30.00"}, two]}, "tenders_differ", "tenders"),
        ({"tenders": [{**one, "amount": "0.00"}, two]}, "invalid_field", "tenders.0.amount"),
        ({"tenders": [{**one, "amount": "12.5"}, two]}, "amount_scale_mismatch", "tenders.0.amount"),
        ({"tenders": [{"instrument": one["instrument"]}, two]}, "invalid_field", "tenders.0.amount"),
        ({"tenders": [one]}, "invalid_field", "tenders"),
        ({"tenders": [one, two, two]}, "invalid_field", "tenders"),
        ({"tenders": [one, {"instrument": one["instrument"]}]}, "invalid_field", "tenders"),
        ({"tenders": [one, {"instrument": "ins_01K9YH4V9GYB7T2D4Z8QW3M5N6"}]}, "unknown_instrument", "tenders.1.instrument"),
        ({"tenders": [one, {**two, "connector_account": "nowhere"}]}, "unknown_connector_account",
         "tenders.1.connector_account"),
        ({"tenders": [{**one, "connector_account": "adyen"}, two]}, "no_route", "tenders.0.instrument"),
        ({"instrument": one["instrument"]}, "invalid_field", "tenders"),
        ({"customer": "user-2"}, "instrument_not_of_customer", "tenders.0.instrument"),
        ({"incremental": True, "capture": "manual"}, "invalid_field", "incremental"),
        ({"initiator": "merchant", "retry_until": "2099-01-01T00:00:00Z"}, "invalid_field", "retry_until"),
        ({"save_for": {"use": "recurring"}}, "invalid_field", "save_for"),
    ]  # fmt: skip
    for change, code, param in refusals:
        status, problem = await world.post("/v1/payments", {**good, **change})
        assert (status, problem.get("code"), problem.get("param")) == (422, code, param), (change, problem)
    _, listed = await world.get(f"/v1/payments?reference={good['reference']}")
    assert listed["data"] == []


async def test_refunds_at_the_same_time_never_give_back_more_than_was_captured(world: World):
    _, p = await split(world, ("stripe", "pm_card_visa"), ("stripe", "pm_card_mastercard"))
    p = await settled(world, p, "captured")
    answers = await asyncio.gather(
        *(move(world, p, "refunds", amount=amount("8.00"), reference=f"rma-{n}") for n in range(8))
    )
    assert sorted(status == 409 for status, _ in answers) == [False] * 3 + [True] * 5, answers
    p = await until(world, p["id"], lambda p: p["amount_refunded"]["value"] == "24.00")
    truth = await world.truth()
    given = [sum(n * minor for (what, _, minor), n in effects(truth, t["payment"]).items() if what == "refund")
             for t in p["tenders"]]  # fmt: skip
    assert given == [650, 1750]


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_capture_that_is_taken_back_after_another_is_kept_and_shown(world: World, failing: int):
    tokens = [("stripe", "pm_card_visa"), ("adyen", "stored_capture_fails")]
    _, p = await split(world, tokens[1 - failing], tokens[failing])
    p = await settled(world, p, "partially_captured")
    left = ("17.50", "12.50")[failing]
    assert p["amount_captured"]["value"] == left
    await world.events(p["id"], "sale_approved", "capture_reversed")
    _, listed = await world.get("/v1/breaks?open=true&limit=100")
    assert [b["kind"] for b in listed["data"] if b["payment"] == p["id"]] == ["split_half_captured"]
    status, refund = await move(world, p, "refunds", reference="sorry")
    assert (status, refund["amount"]["value"]) == (201, left), refund
    await settled(world, p, "refunded")


async def test_a_lost_answer_is_found_out_and_then_it_goes_on(world: World):
    await world.fault("charge_then_drop", connector="stripe")
    try:
        status, p = await split(world)
    finally:
        await world.no_faults()
    assert (status, p["status"], p["outcome_certainty"]) == (202, "processing", "unknown"), p
    assert p["unknown"]["operation"] == "authorize"
    p = await settled(world, p, "captured")
    truth = await world.truth()
    assert [effects(truth, t["payment"])["capture", "approved", n] for t, n in zip(p["tenders"], (1250, 1750), strict=True)] == [
        1, 1,
    ]  # fmt: skip


async def test_what_is_expanded_is_that_of_every_part(world: World):
    _, p = await split(world)
    p = await settled(world, p, "captured")
    _, full = await world.get(f"/v1/payments/{p['id']}?expand=attempts,timeline,journals,routing")
    assert [a["operation"] for a in full["attempts"]] == ["authorize", "capture"] * 2
    assert sum(j["effect"] == "capture_approved" for j in full["journals"]) == 2
    assert [m["seq"] for m in full["timeline"]] == list(range(1, len(full["timeline"]) + 1))
    assert {"payment_created", "sale_approved", "capture_approved"} <= {m["type"] for m in full["timeline"]}


async def test_the_audit_finds_what_is_half_done(
    server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory
):
    async with opened(server_url, template_url, tmp_path_factory.mktemp("half")) as alone:
        _, paid = await split(alone)
        p = await held(alone)
        await settled(alone, paid, "captured")
        await audited(alone)
        connection = await asyncpg.connect(alone.database_url)
        at = "WHERE payment_id = '" + hex_of(p["id"]) + "'"
        why = """UPDATE splits SET closing = '{"status": "failed", "code": "c", "detail": "d"}'"""
        await connection.execute(f"{why} {at}")
        await audited(alone, splits_differ=1)
        await connection.execute(f"UPDATE splits SET look_at = now() {at}")
        await until(alone, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "voided"])
        await audited(alone)
        await connection.close()


async def test_a_tender_that_cannot_be_asked_any_more_gives_back_the_one_before_it(world: World):
    body = await body_of(world, ("adyen", "stored_challenge_always"), ("stripe", "pm_card_visa"))
    card = {"connector_account": "stripe", "psp_token": "pm_card_visa"}
    _, doomed = await world.post("/v1/instruments", {"customer": "user-1", "credentials": [card]})
    body["tenders"][1]["instrument"] = doomed["id"]
    _, p = await world.post("/v1/payments", {**body, "return_url": "https://shop.example/return"})
    assert (p["status"], p["tenders"][1]["payment"]) == ("requires_action", None), p
    async with world.http.delete(f"{world.api_url}/v1/instruments/{doomed['id']}", headers=world.headers()) as answer:
        assert answer.status == 200
    await follow(world, p["next_action"]["url"], "success")
    p = await settled(world, p, "failed")
    assert p["failure"]["code"] == "unknown_instrument"
    p = await until(world, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "voided"])
    await world.events(p["id"], "sale_rejected")
