"""What PSPs hear of cards flows into the instruments: in any order, any number of times, and never backwards."""

import asyncio
import base64
import hashlib
import hmac
import uuid
from typing import Any

import asyncpg
import pytest
from Adyen.util import is_valid_hmac_payload
from tests.instruments.test_forgetting import (
    learned,
    stripe_token,
    turn,
    with_token,
)
from tests.played_vault import PlayedVault
from tests.world import World

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import CardSeen, Notification
from scrooge.flows import updates
from scrooge.flows.cards import Listening
from scrooge.flows.errands import forget
from scrooge.flows.receive import apply_one
from scrooge.flows.scrooge import Scrooge
from scrooge.storage import inbox, instruments
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.errands import READ_TOKEN, Errand


async def changed(s: Scrooge, sandbox_url: str, connector: str, kind: str, token: str) -> None:
    body = {"connector": connector, "kind": kind, "token": token}
    async with s.http.post(f"{sandbox_url}/updates", json=body) as answer:
        assert await answer.json() == {"updated": [token]}


async def told(s: Scrooge, sql: asyncpg.Connection, account: ConnectorAccount, n: Notification) -> None:
    """A notification comes, and everything it leads to is done."""
    await inbox.keep(s.inbox, account.id, [n], b"{}")
    await sql.execute("UPDATE inbox SET due_at = now() WHERE state = 'unread'")
    for row in await inbox.claim(s.db, 10):
        await apply_one(s, row)
    await turn(s)
    await turn(s)


def news(token: str, kind: str = "payment_method.automatically_updated", **more: Any) -> Notification:
    return Notification(event_id=uuid.uuid4().hex, kind=kind, psp_token=token, **more)


async def shown(s: Scrooge, instrument: str) -> instruments.Instrument:
    return (await instruments.read(s.db, [instrument]))[instrument]


async def test_a_new_expiry_is_the_instruments_and_the_vaults(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    card = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await with_token(s, card, stripe, token, customer)
    await changed(s, sandbox_url, "stripe", "expiry", token)
    for _ in range(3):
        await told(s, sql, stripe, news(token))
    found = await shown(s, card)
    assert found.exp is not None
    assert (found.exp > "2034-01", found.last4, found.vault) == (True, "4242", True)
    assert played.cards[card]["exp"] == found.exp
    assert [method for method, _ in played.asked].count("PATCH") == 1, "told once"
    assert found.credentials[0].source == "updated"
    await Listening().turn(s)
    heard = await shown(s, card)
    assert (heard.exp, heard.last4, heard.vault) == (found.exp, found.last4, True)


async def test_a_card_of_another_number_is_paid_with_by_its_token_and_not_from_the_vault(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    card = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await with_token(s, card, stripe, token, customer)
    await changed(s, sandbox_url, "stripe", "number", token)
    await told(s, sql, stripe, news(token))
    found = await shown(s, card)
    assert found.last4 != "4242"
    assert (found.card_status, found.vault) == ("replaced", False)
    assert [c.psp_token for c in found.credentials] == [token]
    played.keep({**played.cards[card], "fingerprint": "renewed"})
    await Listening().turn(s)
    after = await shown(s, card)
    assert (after.card_status, after.last4, after.exp) == ("replaced", found.last4, found.exp)


async def test_a_card_that_is_closed_leaves_no_token(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    card = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await with_token(s, card, stripe, token, customer)
    await changed(s, sandbox_url, "stripe", "closed", token)
    await told(s, sql, stripe, news(token, "payment_method.detached"))
    assert (await shown(s, card)).credentials == ()


async def test_nothing_goes_back_to_an_earlier_expiry(s: Scrooge, who: Principal, played: PlayedVault):
    card = await learned(s, who, played)
    account = (await s.directory.add_account(
        who.merchant, "x", "stripe", "x", False, {"api_key": "sk_test_x"}, None, "tests")).id  # fmt: skip
    errand = Errand(
        kind=READ_TOKEN, merchant=who.merchant, livemode=False, instrument=card, connector_account=account,
        psp_token="pm_1",
    )  # fmt: skip
    seen = [CardSeen("4242", "2033-01"), CardSeen("4242", "2031-12"), CardSeen("1111", "2032-12"),
            CardSeen("4242", "2033-01")]  # fmt: skip
    said = [await updates.seen(s, errand, one) for one in seen]
    assert said == ["another expiry", "nothing newer", "nothing newer", "nothing newer"]
    found = await shown(s, card)
    assert (found.exp, found.last4, found.card_status) == ("2033-01", "4242", "active")


async def test_news_of_a_token_that_nobody_has_waits_a_while_and_is_filed(
    s: Scrooge,
    who: Principal,
    stripe: ConnectorAccount,
    sql: asyncpg.Connection,
):
    nobodys = news("pm_nobodys")
    for _ in range(updates.UNKNOWN_TRIES):
        assert await sql.fetchval("SELECT count(*) FROM inbox WHERE state <> 'unread'") == 0
        await told(s, sql, stripe, nobodys)
    row = await sql.fetchrow("SELECT state, note FROM inbox")
    assert (row["state"], row["note"]) == ("applied", "no instrument has this token")
    assert await sql.fetchval("SELECT count(*) FROM errands") == 0


async def test_news_that_comes_before_the_token_is_saved_is_not_lost(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    card = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await changed(s, sandbox_url, "stripe", "expiry", token)
    first = news(token)
    await told(s, sql, stripe, first)
    assert await sql.fetchval("SELECT state FROM inbox") == "unread"
    await with_token(s, card, stripe, token, customer)
    await told(s, sql, stripe, first)
    found = await shown(s, card)
    assert found.exp == played.cards[card]["exp"] != "2030-03"


async def test_news_about_an_instrument_that_is_gone_changes_nothing(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sql: asyncpg.Connection,
):  # fmt: skip
    card = await learned(s, who, played)
    errand = Errand(
        kind=READ_TOKEN, merchant=who.merchant, livemode=False, instrument=card, connector_account=stripe.id,
        psp_token="pm_1",
    )  # fmt: skip
    await forget(s, who.merchant, card)
    assert await updates.seen(s, errand, CardSeen("4242", "2039-01")) == "the instrument is gone"


def test_adyens_token_events_are_signed_whole_in_a_header():
    key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
    raw = (
        b'{"createdAt":"2025-06-30T16:40:23+02:00","eventId":"QBQQ9DLNRHHKGK38","environment":"test","data":'
        b'{"merchantAccount":"Shop","storedPaymentMethodId":"M5N7TQ4TG5PFWR50","type":"visastandarddebit",'
        b'"operation":"updated","shopperReference":"user-1"},"type":"recurring.token.updated"}'
    )
    signature = base64.b64encode(hmac.new(bytes.fromhex(key), raw, hashlib.sha256).digest()).decode()
    assert is_valid_hmac_payload(signature, key, raw), "as Adyen's own library has it"
    headers = {"hmacsignature": signature}
    credentials = {"api_key": "x", "hmac_key": "00", "token_hmac_key": key}
    assert ADYEN.verify(raw, headers, credentials, 0)
    assert ADYEN.verify(raw, headers, {"api_key": "x", "hmac_key": key}, 0)
    assert not ADYEN.verify(raw + b" ", headers, credentials, 0)
    assert not ADYEN.verify(raw, {}, credentials, 0)
    assert not ADYEN.verify(raw, {"hmacsignature": signature[::-1]}, credentials, 0)
    [told] = ADYEN.notifications(raw)
    assert (told.psp_token, told.psp_customer, told.merchant_account) == ("M5N7TQ4TG5PFWR50", "user-1", "Shop")
    assert (told.outcome, told.psp_reference) == (None, "QBQQ9DLNRHHKGK38")


# --- from the PSP's event to the instrument, by every process there is ---------------------------


async def at_stripe(world: World) -> tuple[str, str | None]:
    headers = {"Authorization": f"Bearer {world.stripe_key}"}

    async def post(path: str, **form: str) -> dict[str, Any]:
        async with world.http.post(f"{world.sandbox_url}/stripe/v1/{path}", data=form, headers=headers) as answer:
            return await answer.json()

    customer = (await post("customers"))["id"]
    return (await post("payment_methods/pm_card_visa/attach", customer=customer))["id"], customer


async def at_adyen(world: World) -> tuple[str, str | None]:
    shopper = f"user-{uuid.uuid4().hex}"
    body = {
        "merchantAccount": world.accounts["adyen"]["merchant_account"], "reference": uuid.uuid4().hex,
        "amount": {"value": 100, "currency": "EUR"}, "shopperReference": shopper, "storePaymentMethod": True,
        "paymentMethod": {"type": "scheme", "number": "4111111111111111", "expiryMonth": "03", "expiryYear": "2034",
                          "cvc": "737"},
        "recurringProcessingModel": "CardOnFile", "returnUrl": "https://shop.example",
    }  # fmt: skip
    url, headers = f"{world.sandbox_url}/adyen/v72/payments", {"X-API-Key": "AQE_tests"}
    async with world.http.post(url, json=body, headers=headers) as answer:
        return (await answer.json())["additionalData"]["tokenization.storedPaymentMethodId"], shopper


@pytest.mark.parametrize("connector", ["stripe", "adyen"])
async def test_a_psp_tells_of_a_card_and_the_instrument_shows_it(connector: str, world: World):
    async def updated(kind: str) -> None:
        token, customer = await (at_stripe if connector == "stripe" else at_adyen)(world)
        body = {
            "customer": "user-1", "card": {"last4": "4242" if connector == "stripe" else "1111", "exp": "2034-03"},
            "credentials": [{"connector_account": connector, "psp_token": token, "psp_customer": customer}],
        }  # fmt: skip
        status, made = await world.post("/v1/instruments", body)
        assert status == 201, made
        order = {"connector": connector, "kind": kind, "token": token}
        async with world.http.post(f"{world.sandbox_url}/updates", json=order) as answer:
            assert (await answer.json())["updated"] == [token]
        for _ in range(600):
            _, now = await world.get(f"/v1/instruments/{made['id']}")
            same = now["card"]["last4"] == made["card"]["last4"]
            later = now["card"]["exp"] > "2035"
            if {"expiry": same and later, "number": later and not same, "closed": now["credentials"] == []}[kind]:
                return
            await asyncio.sleep(0.1)
        raise AssertionError((kind, now))

    await asyncio.gather(*map(updated, ("expiry", "number", "closed")))
