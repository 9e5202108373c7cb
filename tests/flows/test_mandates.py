"""A payer agrees once; the merchant pays under it as agreed and no further, until somebody withdraws it: then never."""

import asyncio
import signal
import uuid
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.births import born
from tests.flows.test_payments import effects, until
from tests.flows.test_retries import POOR, in_days, its_time_comes, money_arrives
from tests.world import TOKENS, World

from scrooge.ids import hex_of, new_id

MONTHLY = {
    "use": "recurring",
    "max": {"value": "20.00", "currency": "EUR"},
    "interval": "month",
    "description": "Premium",
}


async def card(world: World, customer: str = "user-1", **tokens: str) -> str:
    credentials = [{"connector_account": c, "psp_token": t} for c, t in tokens.items()]
    status, made = await world.post("/v1/instruments", {"customer": customer, "credentials": credentials})
    assert status == 201, made
    return made["id"]


async def agreed(world: World, connector: str = "stripe", token: str | None = None, **more: Any) -> dict[str, Any]:
    """The payment with which a payer agrees."""
    instrument = await card(world, **{connector: token or TOKENS[connector]})
    status, p = await world.pay(instrument=instrument, save_for=more.pop("save_for", MONTHLY), **more)
    assert status == 201, p
    return p


async def renew(
    world: World, mandate: str, value: str = "12.99", currency: str = "EUR", **more: Any
) -> tuple[int, Any]:
    body = {
        "reference": f"sub-{uuid.uuid4().hex}",
        "amount": {"value": value, "currency": currency},
        "mandate": mandate,
    }
    to = {name: more.pop(name, None) for name in ("idempotency", "key")}
    return await world.post("/v1/payments", body | more, **to)


async def revoke(world: World, mandate: str, **more: Any) -> tuple[int, Any]:
    return await world.post(f"/v1/mandates/{mandate}/revoke", {"reason": "canceled on the site", **more})


async def body_of(sql: asyncpg.Connection, payment: str) -> str:
    request = "SELECT request->>'body' FROM attempts WHERE payment_id = $1 ORDER BY number DESC LIMIT 1"
    return str(await sql.fetchval(request, hex_of(payment)))


async def test_what_the_payer_agreed_to_is_a_mandate_from_the_approval_on(world: World):
    p = await agreed(world)
    assert (p["status"], p["save_for"]) == ("captured", MONTHLY)
    status, m = await world.get(f"/v1/mandates/{p['mandate']}")
    assert status == 200, m
    assert (m["object"], m["status"], m["use"], m["version"]) == ("mandate", "active", "recurring", 1)
    assert (m["customer"], m["instrument"]) == ("user-1", p["instrument"]["id"])
    assert m["credentials"] == [{"connector_account": "stripe", "token": "stored"}]
    assert len(m["network_transaction_ids"]) == 1
    assert not m["portable"], "it has no card of its own"
    consent = {k: m["consent"][k] for k in ("payment", "max", "interval", "description")}
    assert consent == {"payment": p["id"], **{k: MONTHLY[k] for k in ("max", "interval", "description")}}
    told = await world.events(p["id"], "mandate_activated")
    [event] = [e for e in told if e["type"] == "mandate_activated"]
    assert (event["attempt"], event["object_version"], event["data"]["mandate"]["id"]) == (None, 1, m["id"])


@pytest.mark.parametrize(
    ("connector", "use", "fields"),
    [
        ("stripe", "recurring", "off_session=recurring"),
        ("stripe", "instalment", "off_session=recurring"),
        ("stripe", "unscheduled", "off_session=one_off"),
        ("adyen", "recurring", '"recurringProcessingModel":"Subscription"'),
        ("adyen", "instalment", '"recurringProcessingModel":"Subscription"'),
        ("adyen", "on_demand", '"recurringProcessingModel":"UnscheduledCardOnFile"'),
    ],
)
async def test_a_payment_that_names_it_is_the_merchants_with_the_payers_card_and_says_what_for(
    connector: str, use: str, fields: str, world: World, sql: asyncpg.Connection
):
    first = await agreed(world, connector, save_for={"use": use})
    status, p = await renew(world, first["mandate"], purpose="subscription_renewal")
    assert (status, p["status"]) == (201, "captured"), p
    assert (p["mandate"], p["initiator"], p["customer"]) == (first["mandate"], "merchant", "user-1")
    assert p["instrument"]["id"] == first["instrument"]["id"]
    assert "save_for" not in p
    sent = await body_of(sql, p["id"])
    assert fields in sent.replace('": "', '":"')
    if connector == "adyen":
        assert '"shopperInteraction":"ContAuth"' in sent.replace('": "', '":"')
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}


async def test_it_is_good_at_once_with_no_worker_to_learn_of_it(world: World):
    world.kill("worker")
    try:
        first = await agreed(world)
        status, p = await renew(world, first["mandate"])
        assert (status, p["status"]) == (201, "captured"), p
    finally:
        world.start("worker")


async def test_nothing_is_agreed_with_a_payment_that_is_declined(world: World):
    p = await agreed(world, token="pm_card_visa_chargeDeclined")
    assert p["status"] == "declined"
    assert "mandate" not in p
    mandate = "man_" + p["id"].removeprefix("pay_")
    assert (await world.get(f"/v1/mandates/{mandate}"))[0] == 404
    status, refused = await renew(world, mandate)
    assert (status, refused["code"]) == (422, "unknown_mandate")


async def test_nobody_agrees_for_the_payer(world: World):
    """A payment that the merchant initiates may still ask the PSP to keep the card; it is no consent."""
    p = await agreed(world, initiator="merchant")
    assert "mandate" not in p
    mandate = "man_" + p["id"].removeprefix("pay_")
    assert (await world.get(f"/v1/mandates/{mandate}"))[0] == 404
    await asyncio.sleep(1)  # A worker has learned from it by then; nothing is to come of that.
    assert (await world.get(f"/v1/mandates/{mandate}"))[0] == 404
    assert (await renew(world, mandate))[1]["code"] == "unknown_mandate"


async def test_while_the_payer_is_away_to_authenticate_nothing_is_paid_and_it_can_be_withdrawn(world: World):
    p = await agreed(world, token="pm_card_authenticationRequired", return_url="https://shop.example/back")
    assert p["status"] == "requires_action"
    status, m = await world.get(f"/v1/mandates/{p['mandate']}")
    assert (status, m["status"]) == (200, "pending")
    status, refused = await renew(world, p["mandate"])
    assert (status, refused["code"]) == (409, "mandate_pending")
    status, m = await revoke(world, p["mandate"], by="customer")
    assert (status, m["status"], m["revoked"]["by"]) == (200, "revoked", "customer")
    status, refused = await renew(world, p["mandate"])
    assert (status, refused["code"]) == (409, "mandate_revoked")


async def test_no_more_is_paid_than_was_agreed_nor_in_another_currency(world: World):
    m = (await agreed(world))["mandate"]
    for value, currency in (("20.01", "EUR"), ("1.00", "USD")):
        status, refused = await renew(world, m, value, currency)
        assert (status, refused["code"]) == (422, "amount_over_mandate"), refused
        assert refused["max"] == MONTHLY["max"]
    assert (await renew(world, m, "20.00"))[1]["status"] == "captured"


async def test_what_contradicts_the_mandate_is_refused(world: World):
    m = (await agreed(world))["mandate"]
    other = await card(world, stripe=TOKENS["stripe"])
    for more, code, param in (
        ({"instrument": other}, "invalid_field", "instrument"),
        ({"customer": "user-2"}, "instrument_not_of_customer", "customer"),
        ({"save_for": {"use": "recurring"}}, "invalid_field", "save_for"),
        ({"mandate": "man_nonsense"}, "unknown_mandate", "mandate"),
        ({"mandate": new_id("man", 5)}, "unknown_mandate", "mandate"),
        ({"mandate": new_id("pay", 5)}, "unknown_mandate", "mandate"),
    ):
        status, refused = await renew(world, **{"mandate": m, **more})
        assert (status, refused["code"], refused["param"]) == (422, code, param), refused
    status, refused = await world.post(
        "/v1/payments", {"reference": "x", "amount": {"value": "1.00", "currency": "EUR"}}
    )
    assert (status, refused["code"], refused["param"]) == (422, "missing_field", "instrument")


async def test_another_merchant_sees_and_uses_none_of_it(world: World):
    p = await agreed(world)
    m = p["mandate"]
    assert (await world.get(f"/v1/mandates/{m}", key=world.other_key))[0] == 404
    status, refused = await renew(world, m, key=world.other_key)
    assert (status, refused["code"]) == (422, "unknown_mandate")
    status, refused = await world.post(f"/v1/mandates/{m}/revoke", {"reason": "mischief"}, key=world.other_key)
    assert (status, refused["code"]) == (404, "not_found")
    status, none = await world.get("/v1/customers/user-1/mandates", key=world.other_key)
    assert (status, none["data"]) == (200, [])
    assert (await world.get(f"/v1/mandates/{m}"))[1]["status"] == "active"


async def test_a_customers_mandates_are_listed_newest_first(world: World):
    who = f"user-{uuid.uuid4().hex}"
    made = []
    for _ in range(3):
        instrument = await card(world, who, stripe=TOKENS["stripe"])
        _, p = await world.pay(instrument=instrument, customer=who, save_for={"use": "unscheduled"})
        assert (await world.get(f"/v1/mandates/{p['mandate']}"))[1]["status"] == "active"
        made.append(p["mandate"])
    _, page = await world.get(f"/v1/customers/{who}/mandates?limit=2")
    assert ([m["id"] for m in page["data"]], page["has_more"]) == (made[:0:-1], True)
    _, rest = await world.get(f"/v1/customers/{who}/mandates?limit=2&cursor={page['next_cursor']}")
    assert ([m["id"] for m in rest["data"]], rest["has_more"]) == (made[:1], False)


async def test_withdrawn_is_withdrawn_once_told_once_and_for_ever(world: World):
    p = await agreed(world)
    m = p["mandate"]
    answers = await asyncio.gather(*(revoke(world, m) for _ in range(8)))
    assert {(status, a["status"], a["version"]) for status, a in answers} == {(200, "revoked", 2)}
    assert answers[0][1]["revoked"]["because"] == "canceled on the site"
    status, refused = await renew(world, m)
    assert (status, refused["code"]) == (409, "mandate_revoked")
    told = [e for e in await world.events(p["id"], "mandate_revoked") if e["type"].startswith("mandate_")]
    assert [(e["type"], e["object_version"]) for e in told] == [("mandate_activated", 1), ("mandate_revoked", 2)]
    assert told[1]["data"]["mandate"]["revoked"] == {"because": "canceled on the site", "by": "merchant"}


async def test_a_renewal_that_was_answered_is_answered_the_same_after_the_mandate_is_withdrawn(world: World):
    m = (await agreed(world))["mandate"]
    same = {"reference": f"sub-{uuid.uuid4().hex}", "idempotency": uuid.uuid4().hex}
    _, p = await renew(world, m, **same)
    await revoke(world, m)
    status, replayed = await renew(world, m, **same)
    assert (status, replayed["id"]) == (201, p["id"])


async def test_a_deleted_instrument_withdraws_what_was_agreed_for_it(world: World):
    p = await agreed(world)
    assert (await world.get(f"/v1/mandates/{p['mandate']}"))[1]["status"] == "active"
    url = f"{world.api_url}/v1/instruments/{p['instrument']['id']}"
    async with world.http.delete(url, headers=world.headers()) as answer:
        assert answer.status == 200
    _, m = await world.get(f"/v1/mandates/{p['mandate']}")
    assert (m["status"], m["revoked"]["because"]) == ("revoked", "the instrument was deleted")


async def test_a_retry_of_a_renewal_is_not_made_once_the_mandate_is_withdrawn(world: World, sql: asyncpg.Connection):
    first = await agreed(world)
    await money_arrives(sql, first["instrument"]["id"], POOR["stripe"])
    _, p = await renew(world, first["mandate"], retry_until=in_days(30))
    assert (p["status"], p["retry"]["status"]) == ("declined", "scheduled"), p
    await money_arrives(sql, first["instrument"]["id"])
    await revoke(world, first["mandate"])
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["retry"]["status"] == "lost")
    assert p["retry"]["because"] == "the mandate was revoked"
    assert len(p["attempts"]) == 1
    status, refused = await world.post(f"/v1/payments/{p['id']}/authorizations", {})
    assert (status, refused["code"]) == (409, "mandate_revoked")


@pytest.mark.parametrize(("connector", "token"), [("stripe", "pm_card_sandbox_revoked"), ("adyen", "stored_revoked")])
async def test_an_issuer_that_says_the_payer_left_withdraws_it_with_that_very_answer(
    connector: str, token: str, world: World
):
    first = await agreed(world, connector, token)
    assert first["status"] == "captured", first
    status, p = await renew(world, first["mandate"], retry_until=in_days(30))
    assert (status, p["status"], p["decline"]["category"]) == (201, "declined", "authorization_revoked"), p
    assert p["retry"]["status"] == "lost"
    _, m = await world.get(f"/v1/mandates/{first['mandate']}")
    assert (m["status"], m["revoked"]["by"]) == ("revoked", "issuer"), m
    status, refused = await renew(world, first["mandate"])
    assert (status, refused["code"]) == (409, "mandate_revoked")
    assert effects(await world.truth(), p["id"]) == {("sale", "declined", 1299): 1}
    told = [e["type"] for e in await world.events(first["id"], "mandate_revoked")]
    assert told.count("mandate_revoked") == 1


async def test_a_decline_that_says_nothing_of_it_withdraws_nothing(world: World, sql: asyncpg.Connection):
    first = await agreed(world)
    await money_arrives(sql, first["instrument"]["id"], POOR["stripe"])
    _, p = await renew(world, first["mandate"])
    assert p["status"] == "declined"
    assert (await world.get(f"/v1/mandates/{first['mandate']}"))[1]["status"] == "active"


async def test_of_renewals_that_meet_the_withdrawal_each_is_paid_or_refused_and_none_comes_after(world: World):
    first = await agreed(world)
    m = first["mandate"]
    await world.get(f"/v1/mandates/{m}")

    async def later(n: int) -> tuple[int, Any]:
        await asyncio.sleep(n * 0.01)
        return await (revoke(world, m) if n == 12 else renew(world, m))

    answers = await asyncio.gather(*map(later, range(24)))
    renewed = [a for n, (_, a) in enumerate(answers) if n != 12]
    paid = [a for a in renewed if a.get("status") == "captured"]
    assert {a["code"] for a in renewed if a not in paid} <= {"mandate_revoked"}
    assert answers[12][1]["status"] == "revoked"
    assert (await renew(world, m))[1]["code"] == "mandate_revoked"
    references = {p["id"] for p in paid}
    truth = await world.truth()
    assert all(effects(truth, p) == {("sale", "approved", 1299): 1} for p in references)


@pytest.mark.parametrize("point", ["learn.written", "learn.after"])
async def test_a_worker_that_dies_between_the_approval_and_the_mandate_loses_nothing(point: str, world: World):
    world.kill("worker")
    try:
        first = await agreed(world)
        dying = born("worker", env={**world.env, "SCROOGE_CRASH_POINT": point})
        assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
    finally:
        world.start("worker")
    told = await world.events(first["id"], "mandate_activated")
    assert [e["type"] for e in told].count("mandate_activated") == 1
    assert (await world.get(f"/v1/mandates/{first['mandate']}"))[1]["status"] == "active"


async def test_a_serve_that_dies_with_the_approval_leaves_a_mandate_all_the_same(world: World):
    """What the payer agreed to is recorded with the payment, so whoever finds out that it was approved makes it so."""
    at = world.start_beside("dying", SCROOGE_CRASH_POINT="apply.before")
    instrument = await card(world, stripe=TOKENS["stripe"])
    reference = f"order-{uuid.uuid4().hex}"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await world.pay(instrument=instrument, save_for=MONTHLY, reference=reference, at=at)
    world.processes["dying"].wait()
    _, found = await world.get(f"/v1/payments?reference={reference}")
    [p] = found["data"]
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    status, renewed = await renew(world, p["mandate"])
    assert (status, renewed["status"]) == (201, "captured"), renewed
