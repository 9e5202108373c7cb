"""What a payment looks like, to the letter; and what `expand` adds."""

import uuid
from typing import Any

import pytest

from tests.world import World

FIELDS = {
    "id", "object", "version", "livemode", "reference", "caller", "merchant", "status", "outcome_certainty", "amount",
    "amount_authorized", "amount_captured", "amount_refunded", "amount_voided", "instrument", "customer", "initiator",
    "purpose", "capture", "decline", "connector_account", "latest_attempt", "attempt_count", "return_url",
    "statement_descriptor", "metadata", "created_at",
}  # fmt: skip


def eur(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


async def carded(world: World, token: str = "pm_card_visa") -> str:
    _, made = await world.post(
        "/v1/instruments",
        {"customer": "user-9", "card": {"brand": "visa", "iin": "424242", "last4": "4242", "exp": "2029-03"},
         "credentials": [{"connector_account": "stripe", "psp_token": token}]},
    )  # fmt: skip
    return made["id"]


async def created(world: World, reference: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "reference": reference, "amount": eur("12.99"), "instrument": await carded(world), "customer": "user-9",
        "purpose": "subscription_signup", "return_url": "https://shop.example/return",
        "statement_descriptor": "EXAMPLE*PREMIUM", "metadata": {"plan": "premium", "name": "Müller"}, **more,
    }  # fmt: skip
    return await world.post("/v1/payments", body)


async def test_a_payment_shows_what_was_asked_and_what_became_of_it(world: World):
    status, p = await created(world, "reading-1")
    assert status == 201
    assert set(p) == FIELDS
    assert p["instrument"] == {
        "id": p["instrument"]["id"], "brand": "visa", "iin": "424242", "last4": "4242", "exp": "2029-03",
    }  # fmt: skip
    shown = {name: p[name] for name in ("object", "livemode", "caller", "merchant", "reference", "status", "capture")}
    assert shown == {
        "object": "payment", "livemode": False, "caller": "checkout", "merchant": "tests", "reference": "reading-1",
        "status": "captured", "capture": "automatic",
    }  # fmt: skip
    assert (p["amount"], p["amount_captured"], p["amount_refunded"]) == (eur("12.99"), eur("12.99"), eur("0.00"))
    assert p["metadata"] == {"plan": "premium", "name": "Müller"}
    assert p["created_at"].endswith("Z")
    assert len(p["created_at"]) == len("2026-11-20T10:00:00.120344Z")
    _, again = await world.get(f"/v1/payments/{p['id']}")
    assert again == p


async def test_a_decline_is_an_answer_with_a_reason_and_advice(world: World):
    status, p = await created(
        world, "reading-2", instrument=await carded(world, "pm_card_visa_chargeDeclinedInsufficientFunds")
    )
    assert (status, p["status"], p["outcome_certainty"]) == (201, "declined", "certain")
    decline = p["decline"]
    assert decline["category"] == "insufficient_funds"
    assert decline["hard"] is False
    assert decline["retry_advice"] == {"action": "retry_later"}
    assert decline["psp"]["connector"] == "stripe"
    assert decline["customer_message_key"] == "decline.insufficient_funds"
    assert set(decline["network"]) == {"code", "advice_code"}


async def test_a_payer_who_must_act_is_told_where(world: World):
    status, p = await created(world, "reading-3", instrument=await carded(world, "pm_card_threeDSecure2Required"))
    assert (status, p["status"]) == (201, "requires_action")
    action = p["next_action"]
    assert (action["type"], action["method"]) == ("redirect", "GET")
    assert action["url"].startswith(world.sandbox_url)
    assert action["expires_at"] > p["created_at"]


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_an_unknown_outcome_is_202_and_says_since_when(world: World, psp: str):
    await world.fault("charge_then_500", connector=psp)
    try:
        instrument = await world.instrument(**{psp: {"stripe": "pm_card_visa", "adyen": "stored_visa"}[psp]})
        body = {"reference": f"unknown-{psp}", "amount": eur("5.00"), "instrument": instrument}
        async with world.http.post(
            f"{world.api_url}/v1/payments", json=body, headers=world.headers(idempotency=f"unknown-{psp}")
        ) as answer:
            p = await answer.json()
    finally:
        await world.no_faults()
    assert (answer.status, answer.headers["Retry-After"]) == (202, "5")
    assert (p["status"], p["outcome_certainty"]) == ("processing", "unknown")
    assert p["unknown"]["attempt"] == p["latest_attempt"]
    assert p["unknown"]["operation"] == "authorize"
    assert p["unknown"]["since"] >= p["created_at"]


async def test_a_repeated_request_gets_the_same_and_says_so(world: World):
    body = {"reference": "reading-4", "amount": eur("5.00"), "instrument": await carded(world)}
    answers = []
    for text in (body, dict(reversed(body.items()))):  # The order of fields is no other payload.
        async with world.http.post(
            f"{world.api_url}/v1/payments", json=text, headers=world.headers(idempotency="reading-4")
        ) as answer:
            answers.append((answer.status, answer.headers.get("Idempotent-Replayed"), await answer.json()))
    assert answers[0][1:2] == (None,)
    assert answers[1] == (answers[0][0], "true", answers[0][2])


async def test_nothing_is_expanded_unless_asked_for(world: World):
    _, p = await created(world, "reading-5")
    for parts in ("attempts", "journals", "timeline", "attempts,journals,timeline"):
        _, shown = await world.get(f"/v1/payments/{p['id']}?expand={parts}")
        assert set(shown) - FIELDS == set(parts.split(","))


async def test_the_timeline_tells_the_whole_story_in_order(world: World):
    _, p = await created(world, "reading-6", capture="manual")
    await world.post(f"/v1/payments/{p['id']}/captures", {"amount": eur("8.00"), "final": True})
    await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "rma", "amount": eur("3.00")})
    _, full = await world.get(f"/v1/payments/{p['id']}?expand=timeline,journals,attempts")
    told = [t["type"] for t in full["timeline"] if t["type"] != "journal_posted"]
    assert told == [
        "payment_created", "authorize_sent", "authorize_approved", "capture_sent", "capture_approved", "refund_sent",
        "refund_approved",
    ]  # fmt: skip
    assert [t["seq"] for t in full["timeline"]] == list(range(1, len(full["timeline"]) + 1))
    moments = [t["at"] for t in full["timeline"]]
    assert moments == sorted(moments)
    posted = [t["ref"] for t in full["timeline"] if t["type"] == "journal_posted"]
    assert sorted(posted) == sorted(j["id"] for j in full["journals"])
    for journal in full["journals"]:
        assert sum(round(float(line["amount"]["value"]) * 100) for line in journal["postings"]) == 0
    assert [(a["number"], a["operation"], a["status"]) for a in full["attempts"]] == [
        (1, "authorize", "approved"), (2, "capture", "approved"), (3, "refund", "approved"),
    ]  # fmt: skip


async def test_an_instrument_is_read_listed_and_forgotten_but_its_payments_keep_their_card(world: World):
    _, p = await created(world, "reading-7")
    instrument = p["instrument"]["id"]
    _, shown = await world.get(f"/v1/instruments/{instrument}")
    assert shown["credentials"] == [
        {"type": "psp_token", "connector_account": "stripe", "psp_token": "pm_card_visa", "psp_customer": None,
         "source": "given"},
    ]  # fmt: skip
    assert not shown["has_network_transaction_id"]
    _, listed = await world.get("/v1/instruments?customer=user-9&limit=100")
    assert shown in listed["data"]
    async with world.http.delete(f"{world.api_url}/v1/instruments/{instrument}", headers=world.headers()) as answer:
        assert await answer.json() == {"id": instrument, "object": "instrument", "deleted": True}
    status, _ = await world.get(f"/v1/instruments/{instrument}")
    assert status == 404
    _, later = await world.get(f"/v1/payments/{p['id']}")
    assert later["instrument"]["last4"] == "4242"


async def test_a_paused_account_takes_no_new_payments_and_credentials_are_never_shown(world: World):
    account = {
        "name": "spare", "connector": "stripe", "merchant_account": "acct_spare", "mode": "test",
        "credentials": {"api_key": "sk_test_spare"}, "base_url": f"{world.sandbox_url}/stripe",
    }  # fmt: skip
    status, made = await world.post("/v1/connector-accounts", account)
    assert status == 201
    assert "sk_test_spare" not in str(made)
    assert "credentials" not in made
    for action, state in (("pause", "paused"), ("resume", "active"), ("drain", "draining")):
        status, turned = await world.post(f"/v1/connector-accounts/spare/{action}", {})
        assert (status, turned["state"]) == (200, state)
    _, instrument = await world.post(
        "/v1/instruments",
        {"customer": "user-9", "credentials": [{"connector_account": "spare", "psp_token": "pm_card_visa"}]},
    )
    status, failed = await created(world, "reading-8", instrument=instrument["id"])
    assert (status, failed["status"]) == (201, "failed")
    assert set(failed["failure"]["reasons"]) == {"spare"}
    _, health = await world.get("/v1/connector-accounts/stripe/health")
    assert health["attempts"] >= 1
    assert health["approval_rate"] is not None


async def test_a_customers_instruments_come_in_pages_newest_first(world: World):
    customer = f"user-{uuid.uuid4().hex}"
    made = []
    for n in range(5):
        credentials = [{"connector_account": "stripe", "psp_token": f"pm_{n}"}]
        made.append((await world.post("/v1/instruments", {"customer": customer, "credentials": credentials}))[1]["id"])
    path, seen = f"/v1/instruments?customer={customer}&limit=2", []
    cursor = ""
    for size in (2, 2, 1):
        status, page = await world.get(path + cursor)
        assert (status, len(page["data"]), page["has_more"]) == (200, size, size == 2)
        seen += [i["id"] for i in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == (made[::-1], None)
    status, refused = await world.get("/v1/instruments?customer=another&cursor=" + "x" * 20)
    assert (status, refused["code"], refused["param"]) == (422, "invalid_field", "cursor")
