"""Core and vault together, each in its own process: what one does to a card, the other knows."""

import asyncio

import asyncpg
import pytest
from tests.instruments.test_forgetting import turn
from tests.instruments.vaulted.test_saving import fill_of, pay
from tests.vault.house import House

from scrooge.connectors.connector import CardSeen
from scrooge.errors import UnknownInstrument
from scrooge.flows import errands, updates
from scrooge.flows.authorize import instrument_of
from scrooge.flows.cards import Listening
from scrooge.flows.scrooge import Scrooge
from scrooge.storage import cards, instruments
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.errands import READ_TOKEN, Errand


async def hear(s: Scrooge) -> None:
    """Everything the vault has to tell; it tells nothing that a running transaction may still precede."""
    for _ in range(100):
        before = await cards.position(s.db)
        while await Listening().turn(s):
            pass
        if await cards.position(s.db) != before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the vault tells nothing")


async def kept(s: Scrooge, instrument: str) -> instruments.Instrument | None:
    return (await instruments.read(s.db, [instrument])).get(instrument)


async def test_a_card_is_heard_of_before_anybody_names_it(s: Scrooge, who: Principal, card: str):
    await hear(s)
    found = await kept(s, card)
    assert found is not None
    assert (found.vault, found.customer, found.brand, found.last4, found.exp) == (
        True, "user-1", "visa", "4242", "2034-03",
    )  # fmt: skip
    assert found.fingerprint


async def test_what_the_core_deletes_is_deleted_in_the_vault(
    s: Scrooge,
    who: Principal,
    card: str,
    vault: House,
    stripe: ConnectorAccount,
):
    p = await pay(s, who, card)
    assert await fill_of(s, p) is not None
    await errands.forget(s, who.merchant, card)
    await turn(s)
    status, found = await vault.core_asks("GET", f"/v1/cards/{card}")
    assert (status, found["status"]) == (200, "deleted")
    assert await vault.fetch("SELECT 1 FROM cards WHERE sealed IS NOT NULL AND id = $1", instruments.hex_of(card)) == []
    await hear(s)
    with pytest.raises(UnknownInstrument):
        await instrument_of(s, who, card, None)


async def test_what_a_merchant_deletes_at_the_vault_is_gone_here(
    s: Scrooge,
    who: Principal,
    card: str,
    vault: House,
):
    await hear(s)
    status, _, _ = await vault.ask("DELETE", f"/v1/instruments/{card}", key=await vault.new_key(who.merchant))
    assert status == 200
    await hear(s)
    assert await kept(s, card) is None
    with pytest.raises(UnknownInstrument):
        await instrument_of(s, who, card, None)


async def test_a_new_expiry_that_a_psp_tells_of_is_the_vaults_too(
    s: Scrooge,
    who: Principal,
    card: str,
    vault: House,
    stripe: ConnectorAccount,
    sql: asyncpg.Connection,
):
    await hear(s)
    errand = Errand(
        kind=READ_TOKEN, merchant=who.merchant, livemode=False, instrument=card, connector_account=stripe.id,
        psp_token="pm_1",
    )  # fmt: skip
    assert await updates.seen(s, errand, CardSeen("4242", "2038-01")) == "another expiry"
    await turn(s)
    assert (await vault.core_asks("GET", f"/v1/cards/{card}"))[1]["exp"] == "2038-01"
    assert await sql.fetchval("SELECT note FROM errands") == "the vault has the new expiry"
    await hear(s)
    found = await kept(s, card)
    assert found is not None
    assert (found.exp, found.vault) == ("2038-01", True)


async def test_a_vault_that_is_down_holds_up_deletions_only(
    s: Scrooge,
    who: Principal,
    card: str,
    vault: House,
    sql: asyncpg.Connection,
):
    await hear(s)
    vault.stop(kill=True)
    try:
        await errands.forget(s, who.merchant, card)
        await turn(s)
        assert await sql.fetchval("SELECT state FROM errands") == "due"
    finally:
        vault.start()
    await turn(s, sql)
    assert await sql.fetchval("SELECT state FROM errands") == "done"
    assert (await vault.core_asks("GET", f"/v1/cards/{card}"))[1]["status"] == "deleted"
