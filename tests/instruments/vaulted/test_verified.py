"""A card in the vault is verified for nothing, by way of the vault; with it the payer agrees to later payments."""

import hashlib
import uuid
from typing import Any

import pytest
from tests.instruments.conftest import opened
from tests.instruments.vaulted.test_saving import fill_of, kept, learned, pay
from tests.vault.house import House

from scrooge.domain.mandate import Status, mandate_of
from scrooge.domain.payment import Payment
from scrooge.flows import mandates, verify
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.wanted import Wanted
from scrooge.money import Money
from scrooge.storage.directory import Principal

DECLINED = "4000000000009995"


async def verified(s: Scrooge, who: Principal, instrument: str, **more: Any) -> Payment:
    reference = uuid.uuid4().hex
    wanted = Wanted(
        reference=reference, amount=Money(0, "EUR"), instrument=instrument, capture="manual", **more
    )  # fmt: skip
    p, _ = await verify.verify(s, who, wanted, Keyed(reference, hashlib.sha256(reference.encode()).digest()))
    return p


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_a_verified_card_of_the_vault_makes_a_mandate_and_is_paid_with_under_it(
    psp: str, s: Scrooge, who: Principal, card: str, sandbox_url: str
):
    account = await opened(s, who, psp, sandbox_url)
    p = await verified(s, who, card, save_for="recurring")
    assert p.attempts[0].state == "approved", p.attempts[0]
    assert await fill_of(s, p) is not None, "the vault has put the card in"
    m = await mandates.active(s, who, mandate_of(p.id))
    assert (m.status, m.instrument, m.connector_account) == (Status.ACTIVE, card, account.id)
    renewal = await pay(s, who, "", mandate=m.id)
    assert renewal.attempts[0].state == "approved", renewal.attempts[0]
    await learned(s)
    [token] = (await kept(s, card)).credentials
    assert (token.connector_account, token.source) == (account.id, "saved")
    later = await pay(s, who, "", mandate=m.id)
    assert later.attempts[0].state == "approved", later.attempts[0]
    assert await fill_of(s, later) is None, "by the token that the verification brought"


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_a_card_of_the_vault_that_its_issuer_refuses_makes_none(
    psp: str, s: Scrooge, who: Principal, vault: House, sandbox_url: str
):
    await opened(s, who, psp, sandbox_url)
    card = {"number": DECLINED, "exp_month": 3, "exp_year": 2034, "cvc": "737"}
    key = await vault.new_key(who.merchant)
    body = {"type": "card", "customer": "user-1", "card": card}
    _, made, _ = await vault.ask("POST", "/v1/instruments", body, key=key)
    p = await verified(s, who, made["id"], save_for="recurring")
    assert (p.attempts[0].state, p.attempts[0].decline) == ("declined", "insufficient_funds"), p.attempts[0]
    assert await mandates.known(s, mandate_of(p.id)) is None
