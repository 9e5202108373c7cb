"""Deleting an instrument reaches every credential, whatever dies and whoever does not answer."""

import asyncio
import os
import signal
import uuid
from typing import Any

import aiohttp
import asyncpg
import pytest
from msgspec import structs
from tests.births import born
from tests.conftest import free_port
from tests.instruments.conftest import opened
from tests.played_vault import PlayedVault

from scrooge.crash import POINTS
from scrooge.errors import UnknownInstrument
from scrooge.flows import errands
from scrooge.flows.authorize import instrument_of
from scrooge.flows.cards import Listening
from scrooge.flows.errands import PARK_TRIES
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_of, new_id
from scrooge.settings import Settings
from scrooge.storage import errands as rows
from scrooge.storage import instruments
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Credential, Instrument


def vault_card(who: Principal) -> dict[str, Any]:
    return {
        "id": new_id("ins", bucket_of(who.merchant, "user-1")), "merchant": who.merchant, "livemode": False,
        "customer": "user-1", "last4": "4242", "exp": "2030-03", "status": "active",
    }  # fmt: skip


async def learned(s: Scrooge, who: Principal, played: PlayedVault) -> str:
    """An instrument with a card in the vault."""
    card = vault_card(who)
    played.keep(card)
    return (await instrument_of(s, who, card["id"], None)).id


async def given(s: Scrooge, who: Principal, *credentials: Credential) -> str:
    made = Instrument(
        id=new_id("ins", bucket_of(who.merchant, "user-1")), merchant=who.merchant, livemode=False, customer="user-1",
        credentials=credentials,
    )  # fmt: skip
    await instruments.add(s.db, made)
    return made.id


async def with_token(s: Scrooge, instrument: str, account: ConnectorAccount, token: str, customer: str | None) -> None:
    bucket, number = instruments.key_of(instrument)
    await instruments.run(
        s.db, instruments.Q["add_credential"], bucket, number, instruments.hex_of(account.id), 0, token, customer
    )


async def stripe_token(s: Scrooge, account: ConnectorAccount) -> tuple[str, str]:
    """A payment method that a customer of the sandbox's Stripe has: (its id, the customer's)."""
    wire = s.directory.wire(account)
    headers = {"Authorization": f"Bearer {wire.credentials['api_key']}"}

    async def post(path: str, **form: str) -> dict[str, Any]:
        async with s.http.post(f"{wire.base_url}/v1/{path}", data=form, headers=headers) as answer:
            return await answer.json()

    customer = (await post("customers"))["id"]
    return (await post("payment_methods/pm_card_visa/attach", customer=customer))["id"], customer


async def stripe_says(s: Scrooge, account: ConnectorAccount, token: str) -> dict[str, Any]:
    wire = s.directory.wire(account)
    headers = {"Authorization": f"Bearer {wire.credentials['api_key']}"}
    async with s.http.get(f"{wire.base_url}/v1/payment_methods/{token}", headers=headers) as answer:
        return await answer.json()


async def adyen_token(s: Scrooge, account: ConnectorAccount) -> str:
    """A card that the sandbox's Adyen stores for user-1."""
    wire = s.directory.wire(account)
    body = {
        "merchantAccount": account.merchant_account, "reference": uuid.uuid4().hex, "returnUrl": "https://x.example",
        "amount": {"value": 100, "currency": "EUR"}, "shopperReference": "user-1", "storePaymentMethod": True,
        "paymentMethod": {"type": "scheme", "number": "4111111111111111", "expiryMonth": "03", "expiryYear": "2030",
                          "cvc": "737"},
        "recurringProcessingModel": "CardOnFile", "shopperInteraction": "Ecommerce",
    }  # fmt: skip
    headers = {"X-API-Key": wire.credentials["api_key"]}
    async with s.http.post(f"{wire.base_url}/v72/payments", json=body, headers=headers) as answer:
        return (await answer.json())["additionalData"]["tokenization.storedPaymentMethodId"]


async def adyen_stores(s: Scrooge, account: ConnectorAccount) -> list[str]:
    wire = s.directory.wire(account)
    query = f"merchantAccount={account.merchant_account}&shopperReference=user-1"
    headers = {"X-API-Key": wire.credentials["api_key"]}
    async with s.http.get(f"{wire.base_url}/v72/storedPaymentMethods?{query}", headers=headers) as answer:
        return [stored["id"] for stored in (await answer.json())["storedPaymentMethods"]]


async def turn(s: Scrooge, sql: asyncpg.Connection | None = None) -> None:
    """One turn of everything that is due; with the owner's SQL, of everything there is."""
    if sql is not None:
        await sql.execute("UPDATE errands SET due_at = now() WHERE state <> 'done'")
    for errand in await rows.claim(s.db, 100):
        await errands.run(s, errand)


async def states(sql: asyncpg.Connection, instrument: str) -> list[tuple[str, str]]:
    found = await sql.fetch(
        "SELECT kind, state FROM errands WHERE instrument_id = $1 ORDER BY kind, state", instruments.hex_of(instrument)
    )
    return [(row["kind"], row["state"]) for row in found]


async def test_every_place_that_keeps_a_credential_forgets_it(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, adyen: ConnectorAccount,
    sql: asyncpg.Connection,
):  # fmt: skip
    instrument = await learned(s, who, played)
    (at_stripe, customer), at_adyen = await stripe_token(s, stripe), await adyen_token(s, adyen)
    await with_token(s, instrument, stripe, at_stripe, customer)
    await with_token(s, instrument, adyen, at_adyen, None)
    assert at_adyen in await adyen_stores(s, adyen)
    assert await errands.forget(s, who.merchant, instrument)
    with pytest.raises(UnknownInstrument):
        await instrument_of(s, who, instrument, None)
    await turn(s)
    assert played.cards[instrument]["status"] == "deleted"
    assert (await stripe_says(s, stripe, at_stripe))["customer"] is None
    assert at_adyen not in await adyen_stores(s, adyen)
    assert {state for _, state in await states(sql, instrument)} == {"done"}
    assert await sql.fetchval("SELECT count(*) FROM errands WHERE psp_token IS NOT NULL") == 0
    assert not await errands.forget(s, who.merchant, instrument), "once"


async def test_a_token_that_another_instrument_has_too_stays(
    s: Scrooge, who: Principal, stripe: ConnectorAccount, played: PlayedVault
):
    token, customer = await stripe_token(s, stripe)
    gone, stays = [await given(s, who, Credential(stripe.id, token, customer)) for _ in range(2)]
    await errands.forget(s, who.merchant, gone)
    await turn(s)
    assert (await stripe_says(s, stripe, token))["customer"] == customer
    await errands.forget(s, who.merchant, stays)
    await turn(s)
    assert (await stripe_says(s, stripe, token))["customer"] is None


async def test_what_is_gone_already_is_done(
    s: Scrooge, who: Principal, stripe: ConnectorAccount, adyen: ConnectorAccount, played: PlayedVault,
    sql: asyncpg.Connection,
):  # fmt: skip
    """Done twice, or never known there: an answer that is definitive."""
    instrument = await learned(s, who, played)
    del played.cards[instrument]
    await with_token(s, instrument, stripe, "pm_never", None)
    await with_token(s, instrument, adyen, "NEVER", None)
    await errands.forget(s, who.merchant, instrument)
    await turn(s)
    assert {state for _, state in await states(sql, instrument)} == {"done"}


async def test_who_does_not_answer_is_asked_until_there_is_an_answer_and_somebody_is_told(
    s: Scrooge, who: Principal, played: PlayedVault, sql: asyncpg.Connection
):
    instrument, url = await learned(s, who, played), played.url
    await errands.forget(s, who.merchant, instrument)
    played.url = f"http://127.0.0.1:{free_port()}"
    s.vault = played.vault
    for _ in range(PARK_TRIES):
        await turn(s, sql)
    played.url, played.forged = url, True
    s.vault = played.vault
    await turn(s, sql)
    played.forged, played.trouble = False, 503
    await turn(s, sql)
    assert await states(sql, instrument) == [("forget_vault_card", "parked")]
    [broken] = await sql.fetch("SELECT kind, detail::text FROM breaks WHERE closed_at IS NULL")
    assert broken["kind"] == "errand_parked"
    assert instrument in broken["detail"]
    assert (await rows.backlog(s.db))["parked"] == 1
    played.trouble = None
    await turn(s, sql)
    assert await states(sql, instrument) == [("forget_vault_card", "done")]
    assert played.cards[instrument]["status"] == "deleted"


async def test_one_that_cannot_be_done_holds_up_no_other(
    s: Scrooge, who: Principal, played: PlayedVault, sql: asyncpg.Connection
):
    nowhere = await opened(s, who, "stripe", f"http://127.0.0.1:{free_port()}")
    stuck = await given(s, who, Credential(nowhere.id, "pm_1", None))
    await errands.forget(s, who.merchant, stuck)
    good = await learned(s, who, played)
    await errands.forget(s, who.merchant, good)
    await turn(s)
    assert await states(sql, stuck) == [("forget_psp_token", "due")]
    assert await states(sql, good) == [("forget_vault_card", "done")]


async def test_an_answer_that_is_none_leaves_the_token_to_be_forgotten(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount, sql: asyncpg.Connection
):
    """The key of the account was withdrawn: that says nothing about the token."""
    instrument = await given(s, who, Credential(stripe.id, "pm_1", None))
    withdrawn = structs.replace(s.connectors["stripe"], headers=lambda *_: {})
    s.connectors = s.directory.connectors = {**s.connectors, "stripe": withdrawn}
    await errands.forget(s, who.merchant, instrument)
    await turn(s)
    assert await states(sql, instrument) == [("forget_psp_token", "due")]


async def test_what_a_merchant_deletes_at_the_vault_is_forgotten_everywhere(
    s: Scrooge, who: Principal, played: PlayedVault, stripe: ConnectorAccount
):
    instrument = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await with_token(s, instrument, stripe, token, customer)
    played.keep({**played.cards[instrument], "status": "deleted"})
    while await Listening().turn(s):
        pass
    with pytest.raises(UnknownInstrument):
        await instrument_of(s, who, instrument, None)
    await turn(s)
    assert (await stripe_says(s, stripe, token))["customer"] is None


async def test_two_workers_never_have_the_same_errand(s: Scrooge, who: Principal, played: PlayedVault):
    """Nor does one wait for the other."""
    for _ in range(8):
        await errands.forget(s, who.merchant, await learned(s, who, played))
    async with s.db.transaction() as one, s.db.transaction() as other:
        first = await rows.claim(one, 5)
        second = await asyncio.wait_for(rows.claim(other, 100), 5)
    assert (len(first), len(second)) == (5, 3)
    assert not {e.id for e in first} & {e.id for e in second}


@pytest.mark.parametrize("point", sorted(p for p in POINTS if p.startswith(("forget.", "errand."))))
async def test_a_death_at_any_point_loses_nothing(
    point: str, settings: Settings, s: Scrooge, who: Principal, played: PlayedVault, sql: asyncpg.Connection,
    stripe: ConnectorAccount,
):  # fmt: skip
    """By SIGKILL: of `serve` while it deletes, of `worker` while it runs the errands."""
    from scrooge.storage.access import create_key

    instrument = await learned(s, who, played)
    token, customer = await stripe_token(s, stripe)
    await with_token(s, instrument, stripe, token, customer)
    _, key = await create_key(s.db, who.caller, ["*"], False)
    port = free_port()
    env = {
        **os.environ, "SCROOGE_DATABASE_URL": settings.database_url or "", "SCROOGE_DATA_DIR": str(settings.data_dir),
        "SCROOGE_VAULT_URL": played.url, "SCROOGE_SERVICE_KEY": played.core_seed, "SCROOGE_PORT": str(port),
        "SCROOGE_VAULT_PUBLIC_KEY": played.us.public, "SCROOGE_LOG_LEVEL": "error",
    }  # fmt: skip
    dies = {"SCROOGE_CRASH_POINT": point}
    at_serve = point.startswith("forget.")
    serve = born("serve", env={**env, **(dies if at_serve else {})})
    url = f"http://127.0.0.1:{port}/v1/instruments/{instrument}"
    started = []
    try:
        for _ in range(600):
            try:
                async with s.http.delete(url, headers={"Authorization": f"Bearer {key}"}) as answer:
                    assert answer.status in {200, 404}, await answer.text()
                    break
            except (aiohttp.ClientError, OSError):
                if serve.poll() is not None and at_serve:
                    assert serve.wait() == -signal.SIGKILL
                    serve, at_serve = born("serve", env=env), False
                await asyncio.sleep(0.1)
        else:
            raise AssertionError("no answer")
        worker = born("worker", env={**env, **({} if point.startswith("forget.") else dies)})
        started.append(worker)
        if not point.startswith("forget."):
            assert await asyncio.to_thread(worker.wait, 60) == -signal.SIGKILL
            await sql.execute("UPDATE errands SET due_at = now() WHERE state <> 'done'")
            started.append(born("worker", env=env))
        for _ in range(600):
            found = await states(sql, instrument)
            if found and {state for _, state in found} == {"done"}:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(found)
        assert len(found) == 2
        assert played.cards[instrument]["status"] == "deleted"
        assert (await stripe_says(s, stripe, token))["customer"] is None
    finally:
        for process in (serve, *started):
            process.kill()
            process.wait()
