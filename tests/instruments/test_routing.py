"""Where an instrument with a card in the vault may be used, and what is said when it may be used nowhere."""

import pytest
from msgspec import structs
from tests.instruments.conftest import opened

from scrooge.errors import NoRoute
from scrooge.flows.route import route_of
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import new_id
from scrooge.storage.access import create_merchant
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Credential, Instrument

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def accounts(s: Scrooge, who: Principal) -> dict[str, ConnectorAccount]:
    """Adyen is the older one; another merchant has one too."""
    found = {name: await opened(s, who, name, NOWHERE) for name in ("adyen", "stripe")}
    other = structs.replace(who, merchant=await create_merchant(s.db, "others"))
    await opened(s, other, "stripe", NOWHERE)
    return found


@pytest.fixture
def card(who: Principal) -> Instrument:
    return Instrument(
        id=new_id("ins", 0), merchant=who.merchant, livemode=False, customer="user-1", vault=True, card_status="active"
    )


def names(accounts: dict[str, ConnectorAccount], route: tuple[str, ...]) -> list[str]:
    return [next(name for name, a in accounts.items() if a.id == account) for account in route]


async def test_a_card_goes_to_the_merchants_accounts_by_age(s: Scrooge, who: Principal, accounts, card: Instrument):
    route = await route_of(s, who, card, None)
    assert names(accounts, route.accounts) == ["adyen", "stripe"]
    assert names(accounts, (await route_of(s, who, card, "stripe")).accounts) == ["stripe"]


async def test_a_psp_with_a_token_comes_first_and_once(s: Scrooge, who: Principal, accounts, card: Instrument):
    token = Credential(accounts["stripe"].id, "pm_1")
    route = await route_of(s, who, structs.replace(card, credentials=(token,)), None)
    assert names(accounts, route.accounts) == ["stripe", "adyen"]
    alone = structs.replace(card, credentials=(token,), vault=False, card_status="replaced")
    assert names(accounts, (await route_of(s, who, alone, None)).accounts) == ["stripe"]


async def test_what_cannot_take_a_card_says_why(s: Scrooge, who: Principal, accounts, card: Instrument):
    await s.directory.set_state(accounts["stripe"], "paused", "tests")
    s.connectors = {**s.connectors, "adyen": structs.replace(s.connectors["adyen"], cards={})}
    with pytest.raises(NoRoute) as refused:
        await route_of(s, who, card, None)
    assert refused.value.members["considered"] == {
        "adyen": "its connector takes no card numbers", "stripe": "paused or draining",
    }  # fmt: skip


async def test_without_a_vault_no_card_goes_anywhere(s: Scrooge, who: Principal, accounts, card: Instrument):
    s.vault = None
    with pytest.raises(NoRoute) as refused:
        await route_of(s, who, card, None)
    assert set(refused.value.members["considered"].values()) == {"no vault is set up"}


@pytest.mark.parametrize("status", ["expired", "replaced", "deleted"])
async def test_a_card_that_may_not_be_used_any_more_is_named(
    s: Scrooge, who: Principal, accounts, card: Instrument, status: str
):
    with pytest.raises(NoRoute, match=f"the card in the vault is {status}"):
        await route_of(s, who, structs.replace(card, vault=False, card_status=status), None)
