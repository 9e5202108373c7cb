"""A card of the vault that is paid with is saved where the payer agreed: once, whatever dies, and used from then on."""

import asyncio
import hashlib
import os
import signal
import uuid
from typing import Any

import asyncpg
import pytest
from tests.births import born
from tests.instruments.conftest import opened
from tests.instruments.test_forgetting import adyen_stores, stripe_says, turn
from tests.vault.house import House

from scrooge.domain.payment import Payment
from scrooge.flows import authorize, errands
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.saving import learn
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_of, new_id
from scrooge.money import Money
from scrooge.settings import Settings
from scrooge.storage import errands as rows
from scrooge.storage import instruments, payments, saving
from scrooge.storage.directory import ConnectorAccount, Principal


async def pay(s: Scrooge, who: Principal, instrument: str, **more: Any) -> Payment:
    reference = uuid.uuid4().hex
    wanted = Wanted(reference=reference, amount=Money(1299, "EUR"), instrument=instrument, customer="user-1", **more)
    p, _ = await authorize.create(s, who, wanted, Keyed(reference, hashlib.sha256(reference.encode()).digest()))
    return p


async def learned(s: Scrooge) -> None:
    """Everything that approved payments teach, and the errands of it."""
    for payment, attempt in await saving.to_learn(s.db, 100):
        await learn(s, payment, attempt)
    await turn(s)


async def kept(s: Scrooge, instrument: str) -> instruments.Instrument:
    return (await instruments.read(s.db, [instrument]))[instrument]


async def fill_of(s: Scrooge, p: Payment) -> object:
    return (await payments.request_of(s.db, p.id, p.attempts[-1].id))[0].fill


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_a_card_that_the_payer_agreed_to_save_is_paid_with_by_its_token_from_then_on(
    psp: str, s: Scrooge, who: Principal, card: str, sandbox_url: str
):
    account = await opened(s, who, psp, sandbox_url)
    first = await pay(s, who, card, save_for="subscription")
    assert first.attempts[0].state == "approved", first.attempts[0]
    assert await fill_of(s, first) is not None
    await learned(s)
    instrument = await kept(s, card)
    [token] = instrument.credentials
    assert (token.connector_account, token.source) == (account.id, "saved")
    assert token.psp_customer
    assert instrument.network_transaction_id == first.attempts[0].network_transaction_id
    again = await pay(s, who, card, initiator="merchant")
    assert again.attempts[0].state == "approved", again.attempts[0]
    assert await fill_of(s, again) is None, "by the token, not by way of the vault"
    await learned(s)
    assert (await kept(s, card)).credentials == (token,)


async def test_what_nobody_agreed_to_is_not_saved_but_the_first_payment_has_a_name(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount
):
    p = await pay(s, who, card)
    await learned(s)
    instrument = await kept(s, card)
    assert instrument.credentials == ()
    assert instrument.network_transaction_id == p.attempts[0].network_transaction_id
    second = await pay(s, who, card)
    assert second.attempts[0].teaches is None, "there is nothing more to learn"
    await learned(s)
    assert (await kept(s, card)).network_transaction_id == p.attempts[0].network_transaction_id


async def test_of_two_tokens_at_one_psp_one_is_the_instruments_and_the_other_is_forgotten(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount
):
    await asyncio.gather(*(pay(s, who, card, save_for="on_demand") for _ in range(3)))
    assert len(await adyen_stores(s, adyen)) == 3
    await learned(s)
    [token] = (await kept(s, card)).credentials
    assert await adyen_stores(s, adyen) == [token.psp_token]


async def test_what_a_psp_saved_for_an_instrument_that_is_gone_is_forgotten(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount
):
    await pay(s, who, card, save_for="on_demand")
    await errands.forget(s, who.merchant, card)
    assert len(await adyen_stores(s, adyen)) == 1
    await learned(s)
    assert await adyen_stores(s, adyen) == []


async def test_a_customer_made_for_an_instrument_that_goes_meanwhile_keeps_no_card(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount
):
    p = await pay(s, who, card, save_for="on_demand")
    [(payment, attempt)] = await saving.to_learn(s.db, 10)
    await learn(s, payment, attempt)
    await errands.forget(s, who.merchant, card)
    await turn(s)
    await turn(s)
    assert (await stripe_says(s, stripe, p.attempts[0].psp_token or ""))["customer"] is None


async def test_a_lesson_is_learned_once_whoever_learns_it(
    s: Scrooge,
    who: Principal,
    card: str,
    stripe: ConnectorAccount,
    sql: asyncpg.Connection,
):
    await pay(s, who, card, save_for="subscription")
    [(payment, attempt)] = await saving.to_learn(s.db, 10)
    await asyncio.gather(*(learn(s, payment, attempt) for _ in range(8)))
    assert await sql.fetchval("SELECT count(*) FROM errands") == 1
    assert await saving.to_learn(s.db, 10) == []
    await turn(s)
    await asyncio.gather(*(errands.keep_token(s, e) for e in await rows.claim(s.db, 10)))
    assert len((await kept(s, card)).credentials) == 1


async def test_a_declined_payment_teaches_nothing(s: Scrooge, who: Principal, vault: House, stripe: ConnectorAccount):
    key = await vault.new_key(who.merchant)
    body = {"type": "card", "customer": "user-1",
            "card": {"number": "4000000000009995", "exp_month": 3, "exp_year": 2034, "cvc": "737"}}  # fmt: skip
    _, made, _ = await vault.ask("POST", "/v1/instruments", body, key=key)
    p = await pay(s, who, made["id"], save_for="subscription")
    assert p.attempts[0].state == "declined"
    assert await saving.to_learn(s.db, 10) == []


async def test_a_psp_that_saves_nothing_stands_in_nobodys_way(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, sql: asyncpg.Connection,
):  # fmt: skip
    """The token is refused for good: the payment stands, and the card is in the vault as before."""
    await pay(s, who, card, save_for="subscription")
    [(payment, attempt)] = await saving.to_learn(s.db, 10)
    await learn(s, payment, attempt)
    await sql.execute("UPDATE errands SET psp_token = 'pm_unknown'")
    await turn(s)
    assert await sql.fetchval("SELECT state FROM errands") == "done"
    assert (await kept(s, card)).credentials == ()
    assert await fill_of(s, await pay(s, who, card)) is not None


@pytest.mark.parametrize("point", ["learn.written", "learn.after", "errand.claimed", "errand.done"])
async def test_a_worker_that_dies_while_it_learns_loses_nothing(
    point: str, settings: Settings, s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount,
    sql: asyncpg.Connection, vault: House,
):  # fmt: skip
    await pay(s, who, card, save_for="subscription")
    env = {
        **os.environ, **vault.core_env, "SCROOGE_DATABASE_URL": settings.database_url or "",
        "SCROOGE_DATA_DIR": str(settings.data_dir), "SCROOGE_LOG_LEVEL": "error",
    }  # fmt: skip
    dying = born("worker", env={**env, "SCROOGE_CRASH_POINT": point})
    assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
    await sql.execute("UPDATE errands SET due_at = now() WHERE state <> 'done'")
    worker = born("worker", env=env)
    try:
        for _ in range(600):
            if (await kept(s, card)).credentials and not await sql.fetchval(
                "SELECT count(*) FROM errands WHERE state <> 'done'"
            ):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("it was not saved")
    finally:
        worker.kill()
        worker.wait()
    assert len((await kept(s, card)).credentials) == 1
    assert await sql.fetchval("SELECT count(*) FROM credentials") == 1


async def test_a_token_that_the_caller_gave_stays_what_it_is(
    s: Scrooge, who: Principal, stripe: ConnectorAccount, sql: asyncpg.Connection
):
    given = instruments.Instrument(
        id=new_id("ins", bucket_of(who.merchant, "user-1")), merchant=who.merchant, livemode=False, customer="user-1",
        credentials=(instruments.Credential(stripe.id, "pm_card_visa"),),
    )  # fmt: skip
    await instruments.add(s.db, given)
    p = await pay(s, who, given.id, save_for="subscription")
    assert p.attempts[0].state == "approved"
    await learned(s)
    assert (await kept(s, given.id)).credentials == given.credentials
    assert await sql.fetchval("SELECT count(*) FROM errands") == 0
