"""What people write is checked as it will count, whoever writes beside them, and is small enough to be looked through."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from scrooge.flows import policies, switches
from scrooge.routing.costs import DAY, Costs
from scrooge.routing.facts import Facts
from scrooge.routing.tariff import FEES_MOST, Fee, Prices, Schedule, Tariff, faults
from scrooge.routing.when import When
from tests.steering.conftest import Desk, key_of

AT = 20_000 * DAY
Check = Callable[..., Any]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nobody is written down before two have been checked."""
    real, checked, both = policies.check_together, [], asyncio.Event()

    async def check(s: Any, desk: Any, version: Any) -> Any:
        found = await real(s, desk, version)
        checked.append(version.name)
        if len(checked) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 30)
        return found

    monkeypatch.setattr(policies, "check_together", check)
    return checked


async def test_of_two_that_leave_nothing_together_only_one_is_activated(desk: Desk, together: list[str]):
    """Each holds together with what was active when it was checked: nothing."""
    shop = Desk(desk.api, await key_of(desk, "asgi", "shop", ["*"]))
    everybodys = await desk.drafted("stripe_eu")
    own = await desk.drafted("adyen_eu", name="shop's", caller="shop")
    answers = await asyncio.gather(
        *(desk.ask("POST", f"policies/{p['id']}/activate", {"expect_active": None}) for p in (everybodys, own))
    )
    assert sorted(status for status, _ in answers) == [200, 422], answers
    refused = next(problem for status, problem in answers if status == 422)
    assert "within" in refused["findings"][0]["problem"]
    assert (await shop.explained())["accounts"], "the shop's payments still have somewhere to go"
    assert len(together) == 2, "that was found when the later one was checked again"


async def test_two_that_hold_together_are_both_activated(desk: Desk, together: list[str]):
    await key_of(desk, "asgi", "shop", ["*"])
    both = await desk.drafted("stripe_eu", "adyen_eu"), await desk.drafted("adyen_eu", name="shop's", caller="shop")
    await asyncio.gather(*(desk.activated(p) for p in both))
    assert len((await desk.ask("GET", "activations"))[1]["data"]) == 2


async def test_who_is_never_left_alone_hears_that_others_change(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policies, "others", lambda *_: asyncio.sleep(0, {"clr_another": "pol_another"}))
    made = await desk.drafted("stripe_eu")
    status, problem = await desk.ask("POST", f"policies/{made['id']}/activate", {"expect_active": None})
    assert (status, problem["code"]) == (409, "active_policy_changed")
    assert (await desk.ask("GET", "activations"))[1]["data"] == []


async def test_switches_have_a_number_that_every_payment_can_look_through(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(switches, "SWITCHES_MOST", 2)
    body = {"connector_account": "stripe_eu", "state": "off", "reason": "x"}
    made = [await desk.ask("POST", "switches", body | {"when": {"brand": [b]}}) for b in ("visa", "mastercard", "amex")]
    assert [status for status, _ in made] == [201, 201, 409]
    assert made[2][1]["code"] == "too_many_switches"
    assert (await desk.ask("POST", "switches", body | {"when": {"brand": ["visa"]}}))[0] == 201, "it replaces one"
    assert (await desk.ask("DELETE", f"switches/{made[1][1]['id']}"))[0] == 200
    assert (await desk.ask("POST", "switches", body | {"when": {"brand": ["amex"]}}))[0] == 201


async def test_of_very_many_faults_the_first_are_shown_and_the_others_counted(desk: Desk):
    rules = [{"name": f"r{i}", "use": ["nobody"]} for i in range(300)]
    status, problem = await desk.ask("POST", "policies", {"document": {"name": "p", "accounts": {"stripe_eu": {}},
                                                                       "rules": rules}})  # fmt: skip
    assert (status, len(problem["findings"])) == (422, 100)
    assert "and 299 more" in problem["detail"]


# --- prices -----------------------------------------------------------------------------------


def shared(accounts: int, fees: int) -> Prices:
    several = tuple(Fee(component="scheme", name=f"f{i}", rate="0.1", when=When(iin=(str(400_000 + i),)))
                    for i in range(fees))  # fmt: skip
    tariffs = tuple(Tariff(account=f"a{i}", valid_from="2000-01-01", schedules=("s",)) for i in range(accounts))
    return Prices(schedules=(Schedule(name="s", fees=several),), tariffs=tariffs)


def test_accounts_that_share_a_schedule_share_its_conditions():
    """Ten with five hundred fees were five thousand conditions, and the first payment of a day waited for a minute."""
    costs = Costs(shared(10, 500))
    facts = Facts(currency="EUR", minor=1000, at=AT, brand="visa", iin="400123")
    prices = costs.prices(facts)
    assert {price.rate for price in prices.values()} == {10**6}
    assert len(prices) == 10
    assert len(costs.tables[20_000].places) == 500


def test_more_fees_than_a_day_can_be_made_of_are_refused():
    over = shared(FEES_MOST // 500 + 1, 500)
    assert [f.partition(":")[0] for f in faults(over)] == ["tariffs"]
    assert list(faults(structs.replace(over, tariffs=over.tariffs[:-1]))) == []


def test_the_next_days_prices_are_made_before_its_first_payment():
    costs = Costs(shared(2, 2))
    costs.prepare(AT + DAY - 1)
    assert costs.ready(AT)
    assert set(costs.tables) == {20_000, 20_001}
    assert not costs.ready(AT + DAY)


async def test_prices_that_count_are_made_for_today_and_tomorrow(desk: Desk):
    document = {"tariffs": [{"account": "stripe_eu", "valid_from": "2020-01-01"}]}
    assert (await desk.ask("POST", "tariffs", {"document": document}))[0] == 201
    [costs] = desk.api.s.routing.priced.values()
    assert len(costs.tables) == 2
    costs.tables.clear()
    await desk.api.s.routing.prepare()
    assert len(costs.tables) == 2
