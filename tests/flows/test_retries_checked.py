"""A later retry is held to what its payment was held to: the account that was asked for, the risk check, the law."""

from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.flows.test_retries import POOR, card, renewal
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Phase, Retry
from scrooge.flows import retries
from scrooge.flows.scrooge import Scrooge
from scrooge.risk.policy import Policy, rules_of
from scrooge.routing.bins import Bin
from scrooge.routing.policy import document
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage import payments
from scrooge.storage.directory import Principal
from scrooge.storage.retries import Due
from scrooge.storage.risk import Counts

BLOCKED = {"name": "no", "type": "list", "of": "customer", "values": ["user-1"], "does": "block"}
SLOWED = {"name": "often", "type": "velocity", "of": "card", "counts": "attempts", "most": 1, "minutes": 10,
          "does": "block"}  # fmt: skip


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


async def turn(s: Scrooge, p: dict[str, Any]) -> tuple[Payment, Retry]:
    """Its time has come, and somebody takes it."""
    await retries.run(s, Due(p["id"], p["retry"]["retries"] + 1, 1, "tests"))
    after = await payments.read(s.db, p["id"])
    assert after is not None
    assert after.retry is not None
    return after, after.retry


def risky(s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch, mode: str, *rules: Any, **more: Any) -> None:
    modes = [{**rule, "mode": mode} for rule in rules]
    policy = msgspec.convert({"name": "p", "mode": mode, "rules": modes, **more}, Policy)
    found = Counts("rsk_test", policy, rules_of(policy, "rsk_test"))
    monkeypatch.setattr(s.risk.active, "active", {(who.merchant, who.livemode): "rsk_test"})
    monkeypatch.setattr(s.risk.active, "counts", {(who.merchant, who.livemode): found})


def counts(s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch, policy: document.Policy) -> None:
    scope = (who.merchant, who.livemode, None)
    monkeypatch.setattr(s.routing, "active", {scope: "pol_test"})
    monkeypatch.setattr(s.routing, "compiled", {scope: Compiled(policy)})


# --- the account ------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["name", "id"])
async def test_a_retry_stays_at_the_account_that_its_payment_asked_for(world: World, s: Scrooge, named: str):
    asked = world.accounts["adyen"][named]
    p = await renewal(world, await card(world, stripe="pm_card_visa", adyen=POOR["adyen"]), connector_account=asked)
    after, step = await turn(s, p)
    assert {a.connector_account for a in after.attempts} == {world.accounts["adyen"]["id"]}
    assert (len(after.attempts), step.phase) == (2, Phase.SCHEDULED)


async def test_only_who_asked_for_none_is_routed_anew(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    """The merchant has left Stripe meanwhile: one goes to Adyen, the other waits for Stripe until its time is over."""
    free = await renewal(world, await card(world, stripe=POOR["stripe"], adyen="stored_visa"))
    bound = await renewal(world, free["instrument"]["id"], connector_account="stripe")
    counts(s, who, monkeypatch, default_policy(["adyen"]))
    after, step = await turn(s, free)
    assert (after.attempts[-1].connector_account, step.phase) == (world.accounts["adyen"]["id"], Phase.RECOVERED)
    after, step = await turn(s, bound)
    assert (len(after.attempts), step.phase) == (1, Phase.SCHEDULED)


async def test_its_account_is_kept_to_where_nobody_could_take_the_payment_at_first(world: World, s: Scrooge):
    """It failed at once, and its caller asks again: what follows that is scheduled at the same account."""
    instrument = await card(world, stripe="pm_card_visa")
    status, failed = await world.pay(
        instrument=instrument, initiator="merchant", connector_account="adyen", retry_until=None
    )
    assert (status, failed["status"]) == (201, "failed")
    kept = await payments.read(s.db, failed["id"])
    assert kept is not None
    assert kept.pinned == world.accounts["adyen"]["id"]


async def test_asked_again_a_payment_stays_at_the_account_that_it_asked_for(world: World):
    """Also with a card that another account would be asked about first; with one that its account does not know, nobody."""
    first = await world.instrument(**POOR)
    _, p = await world.pay(instrument=first, connector_account="adyen")
    assert p["status"] == "declined"
    path = f"/v1/payments/{p['id']}/authorizations"
    stranger = await world.instrument(stripe="pm_card_visa")
    status, problem = await world.post(path, {"instrument": stranger})
    assert (status, problem["code"]) == (422, "no_route")
    for instrument, became in (
        (first, "declined"),
        (await world.instrument(stripe="pm_card_visa", adyen="stored_visa"), "captured"),
    ):
        status, p = await world.post(path, {"instrument": instrument})
        assert (status, p["status"]) == (201, became)
        assert p["connector_account"] == "adyen"


# --- the risk check ---------------------------------------------------------------------------


async def test_a_retry_that_the_risk_check_blocks_ends_with_the_reason_and_asks_no_psp(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    before = len(await world.truth())
    risky(s, who, monkeypatch, "enforce", BLOCKED)
    after, step = await turn(s, p)
    assert (len(after.attempts), step.phase) == (1, Phase.LOST)
    assert step.because.startswith("the risk check blocks it: no: ")
    assert len(await world.truth()) == before


async def test_a_retry_that_is_only_watched_goes_on_and_its_check_is_kept(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    risky(s, who, monkeypatch, "observe", BLOCKED)
    after, _ = await turn(s, p)
    assert len(after.attempts) == 2
    _, shown = await world.get(f"/v1/payments/{p['id']}?expand=risk")
    [check] = [c["check"] for c in shown["risk"] if c["attempt"] == after.attempts[1].id]
    assert (check["did"], check["would"]) == ("allow", "block")


async def test_retries_count_and_one_too_many_is_blocked(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    instrument = await card(world, stripe=POOR["stripe"])
    one, two = await renewal(world, instrument), await renewal(world, instrument)
    risky(s, who, monkeypatch, "enforce", SLOWED)
    assert (await turn(s, one))[1].phase is Phase.SCHEDULED
    assert (await turn(s, two))[1].phase is Phase.LOST


async def test_a_risk_service_that_must_answer_and_does_not_costs_a_turn_and_no_retry(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    service = {"url": "https://risk.example", "secret": "secret:none", "fail": "closed", "mode": "enforce"}
    risky(s, who, monkeypatch, "enforce", service=service)
    after, step = await turn(s, p)
    assert (len(after.attempts), step.phase) == (1, Phase.SCHEDULED)


# --- the law ----------------------------------------------------------------------------------


async def test_a_retry_that_needs_the_payer_ends_and_names_the_article(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    """India: above the mandate's limit nobody may be debited without being there. No waiting changes that."""
    p = await renewal(world, await card(world, adyen=POOR["adyen"]), value="15000.01", currency="INR")
    assert p["retry"]["status"] == "scheduled"
    counts(s, who, monkeypatch, structs.replace(default_policy(["adyen"]), authentication=document.Authentication()))
    monkeypatch.setattr(s, "bins", lambda iin: Bin(country="IN"))
    account = await s.directory.account("adyen", who.merchant)
    assert account is not None
    await s.directory.set_acquirer_country(account, "IN", "test")
    after, step = await turn(s, p)
    await s.directory.set_acquirer_country(account, "NL", "test")
    assert (len(after.attempts), step.phase) == (1, Phase.LOST)
    assert "RBI" in step.because
