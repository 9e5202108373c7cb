"""Payments end to end: the real API, both PSP dialects on the wire, a real PostgreSQL, the worker beside."""

import asyncio
import re
import uuid
from collections import Counter
from typing import Any

import asyncpg
import pytest
from tests.world import World

from scrooge.ids import hex_of

PSPS = ["stripe", "adyen"]


async def until(world: World, payment: str, ready: Any, seconds: float = 120) -> dict[str, Any]:
    """The payment once `ready(payment)` holds: notifications and the resolver take their time."""
    for _ in range(int(seconds / 0.1)):
        _, p = await world.get(f"/v1/payments/{payment}?expand=attempts,journals")
        if ready(p):
            return p
        await asyncio.sleep(0.1)
    raise AssertionError(p)


def effects(truth: list[dict[str, Any]], payment: str) -> Counter[tuple[str, str, int]]:
    """(operation, outcome, minor) of everything a PSP did for one payment."""
    return Counter((t["operation"], t["outcome"], t["minor"]) for t in truth if t["reference"].startswith(payment))


@pytest.mark.parametrize("psp", PSPS)
async def test_a_sale_moves_the_money_once_and_the_books_say_so(world: World, psp: str):
    status, p = await world.pay(psp)
    assert (status, p["status"], p["outcome_certainty"]) == (201, "captured", "certain")
    assert p["amount_captured"] == {"value": "12.99", "currency": "EUR"}
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}
    _, full = await world.get(f"/v1/payments/{p['id']}?expand=attempts,journals,timeline")
    [attempt] = full["attempts"]
    assert attempt["psp_reference"]
    assert attempt["network_transaction_id"]
    [journal] = full["journals"]
    assert {line["account"] for line in journal["postings"]} == {
        f"assets.psp_receivable.{psp}", "liabilities.order_clearing.checkout",
    }  # fmt: skip


@pytest.mark.parametrize("psp", PSPS)
async def test_authorize_capture_in_part_and_refund_in_part(world: World, psp: str):
    _, p = await world.pay(psp, capture="manual", value="20.00")
    assert p["status"] == "authorized"
    body = {"reference": "ship-1", "amount": amount("8.00"), "final": psp == "stripe"}
    status, capture = await world.post(f"/v1/payments/{p['id']}/captures", body)
    assert status == 201, capture
    assert capture["id"].startswith("cap_")
    p = await until(world, p["id"], lambda p: p["amount_captured"]["value"] == "8.00")
    if psp == "adyen":
        assert (await world.post(f"/v1/payments/{p['id']}/voids", {}))[0] == 201
        p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert (p["status"], p["amount_voided"]["value"]) == ("captured", "12.00")
    status, refund = await world.post(
        f"/v1/payments/{p['id']}/refunds", {"reference": "rma-1", "amount": amount("3.00")}
    )
    assert status == 201
    assert refund["payment"] == p["id"]
    p = await until(world, p["id"], lambda p: p["status"] == "partially_refunded")
    assert p["amount_refunded"]["value"] == "3.00"
    truth = effects(await world.truth(), p["id"])
    assert truth - Counter({("void", "approved", 1200): 1}) == {
        ("authorize", "approved", 2000): 1, ("capture", "approved", 800): 1, ("refund", "approved", 300): 1,
    }  # fmt: skip


async def test_a_psp_that_keeps_the_rest_held_is_not_told_that_a_capture_is_final(world: World):
    _, p = await world.pay("adyen", capture="manual", value="20.00")
    status, problem = await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount("8.00"), "final": True})
    assert (status, problem["code"], problem["param"]) == (422, "unsupported_operation", "final")


async def test_a_void_waits_until_a_capture_has_concluded(world: World):
    await world.fault("late_notification", delay_ms=20_000)
    try:
        _, p = await world.pay("adyen", capture="manual", value="20.00")
        await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount("8.00")})
        status, problem = await world.post(f"/v1/payments/{p['id']}/voids", {})
    finally:
        await world.no_faults()
    assert (status, problem["code"]) == (409, "capture_in_flight")


def amount(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"value": value, "currency": currency}


async def test_a_psp_that_captures_many_times_captures_many_times(world: World):
    _, p = await world.pay("adyen", capture="manual", value="20.00")
    for value in ("5.00", "6.00"):
        status, answer = await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount(value)})
        assert status == 201, answer
    await until(world, p["id"], lambda p: p["amount_captured"]["value"] == "11.00")
    assert (await world.post(f"/v1/payments/{p['id']}/voids", {}))[0] == 201
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert p["amount_voided"]["value"] == "9.00"


@pytest.mark.parametrize("psp", PSPS)
async def test_a_void_releases_all_and_a_fresh_authorization_may_follow(world: World, psp: str):
    _, p = await world.pay(psp, capture="manual")
    status, void = await world.post(f"/v1/payments/{p['id']}/voids", {})
    assert status == 201, void
    await until(world, p["id"], lambda p: p["status"] == "voided")
    status, p = await world.post(f"/v1/payments/{p['id']}/authorizations", {})
    assert (status, p["status"]) == (201, "authorized")
    assert p["attempt_count"] == 3


@pytest.mark.parametrize("psp", PSPS)
async def test_a_decline_is_an_answer_and_keeps_every_code(world: World, psp: str):
    token = {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds", "adyen": "stored_insufficient_funds"}[psp]
    status, p = await world.pay(psp, token=token)
    assert (status, p["status"]) == (201, "declined")
    assert p["decline"]["category"] == "insufficient_funds"
    assert p["decline"]["network"]["code"] == "51"
    status, p = await world.post(
        f"/v1/payments/{p['id']}/authorizations", {"instrument": await world.instrument(**{psp: good(psp)})}
    )
    assert (status, p["status"]) == (201, "captured")


def good(psp: str) -> str:
    return {"stripe": "pm_card_visa", "adyen": "stored_visa"}[psp]


async def test_a_decline_that_may_succeed_elsewhere_goes_elsewhere(world: World):
    instrument = await world.instrument(stripe="pm_card_chargeDeclined", adyen="stored_visa")
    status, p = await world.post(
        "/v1/payments", {"reference": uuid.uuid4().hex, "amount": amount("9.00"), "instrument": instrument}
    )
    assert (status, p["status"], p["attempt_count"]) == (201, "captured", 2)
    assert effects(await world.truth(), p["id"]) == {("sale", "declined", 900): 1, ("sale", "approved", 900): 1}


async def test_a_decline_that_is_final_stays_where_it_is(world: World):
    instrument = await world.instrument(stripe="pm_card_visa_chargeDeclinedStolenCard", adyen="stored_visa")
    _, p = await world.post(
        "/v1/payments", {"reference": uuid.uuid4().hex, "amount": amount("9.00"), "instrument": instrument}
    )
    assert (p["status"], p["attempt_count"]) == ("declined", 1)


@pytest.mark.parametrize(
    ("currency", "value", "minor"), [("JPY", "1299", 1299), ("KWD", "1.250", 1250), ("ISK", "500", 500)]
)
@pytest.mark.parametrize("psp", PSPS)
async def test_other_currencies_move_exactly_what_was_asked(
    world: World, psp: str, currency: str, value: str, minor: int
):
    status, p = await world.pay(psp, value=value, currency=currency)
    assert (status, p["status"]) == (201, "captured"), p
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", minor): 1}


async def test_64_concurrent_identical_creates_make_one_psp_call(world: World):
    instrument, reference, key = await world.instrument(stripe="pm_card_visa"), uuid.uuid4().hex, uuid.uuid4().hex
    body = {"reference": reference, "amount": amount("7.64"), "instrument": instrument}
    answers = await asyncio.gather(*(world.post("/v1/payments", body, idempotency=key) for _ in range(64)))
    statuses = Counter(status for status, _ in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= 1
    assert {p["id"] for status, p in answers if status == 201} | set() != set()
    [payment] = {p["id"] for status, p in answers if status == 201}
    assert {p["code"] for status, p in answers if status == 409} <= {"request_in_progress"}
    truth = await world.truth()
    assert sum(effects(truth, payment).values()) == 1
    assert sum(t["minor"] == 764 for t in truth) == 1, "no PSP was asked for a payment that was not recorded"
    status, again = await world.post("/v1/payments", body, idempotency=key)
    assert (status, again["id"]) == (201, payment)


async def test_the_same_reference_under_another_key_is_refused_and_names_the_first(world: World):
    _, p = await world.pay()
    status, problem = await world.pay(reference=p["reference"])
    assert (status, problem["code"], problem["existing_id"]) == (409, "reference_exists", p["id"])


async def test_50_concurrent_creates_of_one_reference_under_different_keys_make_one_payment(world: World):
    reference = uuid.uuid4().hex
    answers = await asyncio.gather(*(world.pay(reference=reference) for _ in range(50)))
    made = [p for status, p in answers if status == 201]
    assert len(made) == 1
    assert {p["code"] for status, p in answers if status != 201} <= {"reference_exists", "request_in_progress"}


async def test_a_key_with_another_payload_is_refused_and_does_nothing(world: World):
    key = uuid.uuid4().hex
    _, p = await world.pay(idempotency=key)
    before = len(await world.truth())
    status, problem = await world.pay(idempotency=key, value="13.00")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert len(await world.truth()) == before


async def test_1000_concurrent_refunds_never_exceed_what_was_captured(world: World):
    _, p = await world.pay(value="10.00")
    answers = await asyncio.gather(
        *(world.post(f"/v1/payments/{p['id']}/refunds", {"reference": f"rma-{n}", "amount": amount("0.70")})
          for n in range(1000))
    )  # fmt: skip
    assert Counter(status == 409 for status, _ in answers) == {False: 14, True: 986}
    assert {status for status, _ in answers} <= {201, 202, 409}
    assert {a["code"] for status, a in answers if status == 409} == {"amount_exceeds_room"}
    p = await until(world, p["id"], lambda p: p["amount_refunded"]["value"] == "9.80")
    assert effects(await world.truth(), p["id"])[("refund", "approved", 70)] == 14


LOST = ["charge_then_drop", "charge_then_500", "garbage", "500_before", "drop_request"]


@pytest.fixture(scope="module")
async def lost(world: World) -> dict[tuple[str, str], tuple[int, dict[str, Any]]]:
    """A payment for each way to lose an answer, one after the other; what comes of them takes its time, together."""
    found = {}
    for psp in PSPS:
        await world.instrument(**{psp: good(psp)})
        for fault in LOST:
            await world.fault(fault, connector=psp)
            try:
                found[psp, fault] = await world.pay(psp)
            finally:
                await world.no_faults()
    # What Stripe has no trace of is concluded after a while only; that while is over.
    connection = await asyncpg.connect(world.database_url)
    past = "UPDATE attempts SET recorded_at = recorded_at - interval '1 minute' WHERE payment_id = $1"
    await connection.execute(past, hex_of(found["stripe", "500_before"][1]["id"]))
    await connection.close()
    return found


@pytest.mark.parametrize("psp", PSPS)
@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_unknown_and_then_found_and_never_a_second_payment(
    world: World, lost: dict[tuple[str, str], tuple[int, dict[str, Any]]], psp: str, fault: str
):
    status, p = lost[psp, fault]
    assert (status, p["status"], p["outcome_certainty"]) == (202, "processing", "unknown"), p
    p = await until(world, p["id"], lambda p: p["outcome_certainty"] == "certain")
    truth = effects(await world.truth(), p["id"])
    if (psp, fault) == ("stripe", "500_before"):  # Stripe answers the key with the stored 500 for ever.
        assert (p["status"], truth) == ("failed", {})
    else:
        assert (p["status"], truth) == ("captured", {("sale", "approved", 1299): 1})


async def test_a_psp_slower_than_the_deadline_is_unknown_unless_its_notification_came_first(world: World):
    hasty = await asyncio.to_thread(world.start_beside, "hasty", SCROOGE_PSP_TIMEOUT_SECONDS="2")
    for psp in PSPS:
        await world.instrument(**{psp: good(psp)})
    await world.fault("slow", delay_ms=3500)
    try:
        answers = await asyncio.gather(*(world.pay(psp, at=hasty) for psp in PSPS))
    finally:
        await world.no_faults()
        world.kill("hasty")
    for status, p in answers:
        assert (status, p["outcome_certainty"]) in {(202, "unknown"), (201, "certain")}
        p = await until(world, p["id"], lambda p: p["outcome_certainty"] == "certain")
        assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}


async def test_a_repeated_notification_changes_nothing(world: World):
    await world.fault("duplicate_notification")
    try:
        _, p = await world.pay("adyen", capture="manual")
        await world.post(f"/v1/payments/{p['id']}/captures", {})
        p = await until(world, p["id"], lambda p: p["status"] == "captured")
        await asyncio.sleep(1)
    finally:
        await world.no_faults()
    p = await until(world, p["id"], lambda p: True)
    assert Counter(j["effect"] for j in p["journals"]) == {"authorize_approved": 1, "capture_approved": 1}


@pytest.mark.parametrize("psp", PSPS)
@pytest.mark.parametrize(("result", "status"), [("success", "captured"), ("fail", "declined")])
async def test_a_challenge_is_followed_by_the_payer_and_concluded_once(
    world: World, psp: str, result: str, status: str
):
    token = {"stripe": "pm_card_authenticationRequired", "adyen": "stored_challenge_always"}[psp]
    code, p = await world.pay(psp, token=token, return_url="https://shop.example/return")
    assert (code, p["status"], p["next_action"]["type"]) == (201, "requires_action", "redirect")
    location = await follow(world, p["next_action"]["url"], result)
    assert location.startswith("https://shop.example/return")
    _, p = await world.get(f"/v1/payments/{p['id']}")
    assert p["status"] == status
    truth = effects(await world.truth(), p["id"])
    assert truth == {("sale", "approved" if result == "success" else "declined", 1299): 1}


async def follow(world: World, url: str, result: str) -> str:
    """What the payer's browser does: the challenge page, its form, the way back through us to the shop."""
    async with world.http.get(url) as page:
        text = await page.text()
        assert page.status == 200, text
    action = re.search(r'<form[^>]*action="([^"]+)"', text)
    target = str(page.url.join(type(page.url)(action[1]))) if action else str(page.url)
    async with world.http.post(target, data={"result": result}, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    assert back.startswith(world.api_url)
    for _ in range(2):  # The payer presses "reload": it changes nothing.
        async with world.http.get(back, allow_redirects=False) as answer:
            assert answer.status == 303
            location = answer.headers["Location"]
    return location


async def test_a_payer_who_comes_back_with_nothing_is_led_to_the_shop_and_may_still_pay(world: World):
    _, p = await world.pay("adyen", token="stored_challenge_always", return_url="https://shop.example/return")
    url = p["next_action"]["url"]
    async with world.http.post(url, data={"result": "abandon"}, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    for way in (back.partition("?")[0], back):
        async with world.http.get(way, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "https://shop.example/return")
        assert (await world.get(f"/v1/payments/{p['id']}"))[1]["status"] == "requires_action"
    await follow(world, url, "success")
    assert (await world.get(f"/v1/payments/{p['id']}"))[1]["status"] == "captured"


async def test_void_after_capture_and_other_impossible_things_are_refused(world: World):
    _, p = await world.pay()
    for path, body in (("voids", {}), ("captures", {}), ("refunds", {"reference": "r", "amount": amount("13.00")})):
        status, problem = await world.post(f"/v1/payments/{p['id']}/{path}", body)
        assert (status, problem["code"]) == (409, "amount_exceeds_room"), path
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}


async def test_another_merchants_payment_does_not_exist(world: World):
    _, p = await world.pay()
    for path in ("", "?expand=attempts"):
        status, problem = await world.get(f"/v1/payments/{p['id']}{path}", key=world.other_key)
        assert (status, problem["code"]) == (404, "not_found")
    status, problem = await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "x"}, key=world.other_key)
    assert (status, problem["code"]) == (404, "not_found")


async def test_a_refund_that_fails_later_is_taken_back_in_the_books(world: World):
    _, p = await world.pay("stripe", token="pm_card_refundFail")
    _, refund = await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "r1", "amount": amount("2.00")})
    p = await until(world, p["id"], lambda p: any(a["status"] == "reversed" for a in p["attempts"]))
    assert (p["status"], p["amount_refunded"]["value"]) == ("captured", "0.00")
    assert [j["effect"] for j in p["journals"]][-3:] == ["refund_sent", "refund_approved", "refund_reversed"]


async def test_a_capture_that_fails_later_gives_its_room_back(world: World):
    _, p = await world.pay("adyen", token="stored_capture_fails", capture="manual")
    await world.post(f"/v1/payments/{p['id']}/captures", {})
    p = await until(world, p["id"], lambda p: any(a["status"] == "reversed" for a in p["attempts"]))
    assert (p["status"], p["amount_captured"]["value"]) == ("authorized", "0.00")


async def test_a_pending_authorization_is_concluded_by_its_notification(world: World):
    status, p = await world.pay("adyen", token="stored_pending")
    assert (status, p["status"]) == (201, "processing")
    await until(world, p["id"], lambda p: p["status"] == "captured")


async def test_every_final_state_is_announced_once_in_the_feed(world: World):
    _, p = await world.pay("stripe", capture="manual")
    await world.post(f"/v1/payments/{p['id']}/captures", {})
    await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "r"})
    await until(world, p["id"], lambda p: p["status"] == "refunded")
    mine = await world.events(p["id"], "refund_approved")
    assert [e["type"] for e in mine] == ["authorize_approved", "capture_approved", "refund_approved"]


@pytest.mark.parametrize("psp", PSPS)
async def test_an_authorization_that_lapses_takes_no_capture_and_a_fresh_one_may_follow(world: World, psp: str):
    token = {"stripe": "pm_card_sandbox_expires", "adyen": "stored_expires"}[psp]
    _, p = await world.pay(psp, token=token, capture="manual")
    assert p["status"] == "authorized"
    p = await until(world, p["id"], lambda p: p["status"] == "expired")
    assert [j["effect"] for j in p["journals"]] == ["authorize_approved", "authorize_expired"]
    status, problem = await world.post(f"/v1/payments/{p['id']}/captures", {})
    assert (status, problem["code"]) == (409, "authorization_expired")
    body = {"instrument": await world.instrument(**{psp: good(psp)})}
    status, p = await world.post(f"/v1/payments/{p['id']}/authorizations", body)
    assert (status, p["status"]) == (201, "authorized")


@pytest.mark.parametrize("psp", PSPS)
async def test_64_concurrent_fresh_authorizations_make_one(world: World, psp: str):
    token = {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds", "adyen": "stored_insufficient_funds"}[psp]
    _, p = await world.pay(psp, token=token)
    body = {"instrument": await world.instrument(**{psp: good(psp)})}
    answers = await asyncio.gather(*(world.post(f"/v1/payments/{p['id']}/authorizations", body) for _ in range(64)))
    assert Counter(status for status, _ in answers) == {201: 1, 409: 63}
    assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1


async def test_a_paused_account_takes_no_new_payment_but_gives_money_back(world: World):
    _, p = await world.pay("stripe")
    account = world.accounts["stripe"]["id"]
    await world.post(f"/v1/connector-accounts/{account}/pause", {})
    await asyncio.sleep(1.1)
    try:
        status, failed = await world.pay("stripe")
        assert (status, failed["status"], failed["failure"]["code"]) == (201, "failed", "no_route")
        assert failed["failure"]["reasons"] == {"stripe": "paused or draining"}
        status, refund = await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "r"})
        assert (status, refund["status"]) == (201, "succeeded")
    finally:
        await world.post(f"/v1/connector-accounts/{account}/resume", {})
        await asyncio.sleep(1.1)
