"""The core learns of the vault's cards: asked for by name, and heard of in the vault's order. It never forgets a deletion."""

import asyncio
import uuid
from typing import Any

import pytest
from msgspec import structs
from tests.conftest import free_port
from tests.played_vault import PlayedVault

from scrooge.errors import InstrumentNotOfCustomer, ModeMismatch, UnknownInstrument, VaultUnavailable
from scrooge.flows.authorize import instrument_of
from scrooge.flows.cards import Listening, asked
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_of, new_id
from scrooge.storage import cards, instruments
from scrooge.storage.cards import Card
from scrooge.storage.directory import Principal


def card(who: Principal, **more: Any) -> dict[str, Any]:
    return {
        "id": new_id("ins", bucket_of(who.merchant, "user-1")), "merchant": who.merchant, "livemode": False,
        "customer": "user-1", "brand": "visa", "iin": "424242", "last4": "4242", "exp": "2030-03",
        "fingerprint": uuid.uuid4().hex, "status": "active", **more,
    }  # fmt: skip


async def kept(s: Scrooge, card: dict[str, Any]) -> instruments.Instrument | None:
    return (await instruments.read(s.db, [card["id"]])).get(card["id"])


async def hear(s: Scrooge) -> None:
    listening = Listening()
    while await listening.turn(s):
        pass


async def test_a_card_that_nobody_told_us_of_is_asked_for_by_its_name(s: Scrooge, who: Principal, played: PlayedVault):
    made = played.cards.setdefault("x", card(who))
    played.cards = {made["id"]: made}
    found = await instrument_of(s, who, made["id"], "user-1")
    assert found.vault
    assert (found.customer, found.brand, found.last4, found.exp) == ("user-1", "visa", "4242", "2030-03")
    await instrument_of(s, who, made["id"], None)
    assert played.asked == [("GET", f"/v1/cards/{made['id']}")], "once"


async def test_what_is_asked_for_is_checked_as_what_we_know(s: Scrooge, who: Principal, played: PlayedVault):
    stranger = new_id("mer", 0)
    made, live, theirs, dead = (
        card(who), card(who, livemode=True), card(who, merchant=stranger), card(who, status="deleted"),
    )  # fmt: skip
    played.cards = {c["id"]: c for c in (made, live, theirs, dead)}
    with pytest.raises(InstrumentNotOfCustomer):
        await instrument_of(s, who, made["id"], "user-2")
    with pytest.raises(ModeMismatch):
        await instrument_of(s, who, live["id"], "user-1")
    for nobodys in (theirs["id"], dead["id"], new_id("ins", 1)):
        with pytest.raises(UnknownInstrument):
            await instrument_of(s, who, nobodys, "user-1")
    assert await kept(s, theirs) is None


async def test_what_cannot_be_asked_is_not_called_unknown(s: Scrooge, who: Principal, played: PlayedVault):
    made = card(who)
    played.cards = {made["id"]: made}
    for trouble in ({"forged": True}, {"trouble": 503}, {"url": f"http://127.0.0.1:{free_port()}"}):
        for name, value in trouble.items():
            setattr(played, name, value)
        s.vault = played.vault
        with pytest.raises(VaultUnavailable):
            await instrument_of(s, who, made["id"], "user-1")
        played.forged, played.trouble = False, None
    assert await kept(s, made) is None


async def test_an_imported_card_brings_the_schemes_id_of_its_first_payment(
    s: Scrooge, who: Principal, played: PlayedVault
):
    asked_for, told = (card(who, network_transaction_id=name) for name in ("asked-1", "told-1"))
    played.cards = {asked_for["id"]: asked_for}
    assert (await instrument_of(s, who, asked_for["id"], "user-1")).network_transaction_id == "asked-1"
    played.keep(told)
    await hear(s)
    played.keep({**told, "network_transaction_id": "told-2"})
    await hear(s)
    found = await kept(s, told)
    assert found is not None
    assert found.network_transaction_id == "told-1", "ours, once we have one, is not changed by the vault"


async def test_without_a_vault_payments_by_tokens_go_on(s: Scrooge, who: Principal):
    given = instruments.Instrument(
        id=new_id("ins", bucket_of(who.merchant, "user-1")), merchant=who.merchant, livemode=False, customer="user-1"
    )
    await instruments.add(s.db, given)
    s.vault = structs.replace(s.vault, url=f"http://127.0.0.1:{free_port()}")
    assert (await instrument_of(s, who, given.id, "user-1")).id == given.id
    assert not await Listening().turn(s), "and the worker goes on"


async def test_cards_are_heard_of_and_their_changes(s: Scrooge, who: Principal, played: PlayedVault):
    made = [card(who) for _ in range(450)]
    for one in made:
        played.keep(one)
    await hear(s)
    assert all([await kept(s, one) for one in made])
    played.keep({**made[0], "exp": "2033-12", "fingerprint": "renewed"})
    played.keep({**made[1], "status": "expired"})
    await hear(s)
    changed, expired = await kept(s, made[0]), await kept(s, made[1])
    assert changed is not None and (changed.exp, changed.fingerprint, changed.vault) == ("2033-12", "renewed", True)
    assert expired is not None and (expired.card_status, expired.vault) == ("expired", False)
    assert {path for _, path in played.asked} == {"/v1/changes"}


async def test_a_card_that_fits_no_row_or_no_merchant_holds_up_no_other(
    s: Scrooge, who: Principal, played: PlayedVault
):
    odd = [card(who, exp="2030-13"), card(who, id="ins_short"), card(who, merchant=new_id("mer", 0)), {"id": 7}]
    for one in odd:
        played.changes.append(one)
    good = card(who)
    played.keep(good)
    await hear(s)
    assert await kept(s, good) is not None
    assert await cards.position(s.db) == "5"


async def test_an_answer_that_comes_late_does_not_undo_what_was_heard(s: Scrooge, who: Principal, played: PlayedVault):
    made = card(who)
    played.keep(made)
    late = await asked(s, made["id"])
    assert late is not None
    played.keep({**made, "status": "expired"})
    await hear(s)
    assert not await cards.learn(s.db, late)
    found = await kept(s, made)
    assert found is not None and not found.vault


async def test_a_reader_that_was_overtaken_changes_nothing(s: Scrooge, who: Principal, played: PlayedVault):
    made = card(who)
    played.keep(made)
    played.keep({**made, "status": "expired"})
    await hear(s)
    old = Card(**made)
    async with s.db.transaction() as connection:
        assert await cards.hear(connection, [old], "", "1") is None
    found = await kept(s, made)
    assert found is not None and found.card_status == "expired"
    assert await cards.position(s.db) == "2"


async def test_several_workers_hear_everything_together(s: Scrooge, who: Principal, played: PlayedVault):
    made = [card(who) for _ in range(500)]
    for one in made:
        played.keep(one)
    await asyncio.gather(*(hear(s) for _ in range(4)))
    await hear(s)
    assert all([await kept(s, one) for one in made])
    assert await cards.position(s.db) == "500"


async def test_the_vault_changes_no_instrument_that_is_not_its_own(s: Scrooge, who: Principal, played: PlayedVault):
    given = instruments.Instrument(
        id=new_id("ins", bucket_of(who.merchant, "user-1")), merchant=who.merchant, livemode=False, customer="user-1",
        last4="1111",
    )  # fmt: skip
    await instruments.add(s.db, given)
    played.keep(card(who, id=given.id))
    await hear(s)
    found = (await instruments.read(s.db, [given.id]))[given.id]
    assert (found.last4, found.vault) == ("1111", False)
