"""Live routing: decisions are recorded with the attempt, outcomes teach once, and what is unwell blocks nothing begun."""

import json
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import structs
from tests.world import World

from scrooge.domain.attempt import Operation
from scrooge.flows import authorize, modify, resolve
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.remembering import Remembering
from scrooge.flows.scrooge import Scrooge
from scrooge.money import Money
from scrooge.routing.health import Settings, State
from scrooge.routing.policy.document import Scorer
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage.directory import Principal

KEPT = "SELECT sum(precision) FROM routing_effects WHERE key = $1"
BOTH = {"stripe": "pm_card_visa", "adyen": "stored_visa"}


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


@pytest.fixture
async def policy(s: Scrooge, who: Principal) -> AsyncIterator[Compiled]:
    """Any of the two, and an account that was unwell is tried again soon."""
    scorer = Scorer(health=Settings(pause_seconds=0.2, probe_seconds=0.05))
    made = Compiled(structs.replace(default_policy(["stripe", "adyen"]), scorer=scorer))
    scope = (who.merchant, who.livemode, None)
    s.routing.active[scope], s.routing.compiled[scope] = "pol_test", made
    s.learning.known.clear()
    yield made
    del s.routing.active[scope], s.routing.compiled[scope]


async def pay(s: Scrooge, who: Principal, instrument: str, **more):
    reference = f"order-{uuid.uuid4().hex}"
    wanted = Wanted(reference=reference, amount=Money(1299, "EUR"), instrument=instrument, **more)
    return (await authorize.create(s, who, wanted, keyed()))[0]


def keyed() -> Keyed:
    return Keyed(uuid.uuid4().hex, uuid.uuid4().bytes)


async def shown(world: World, payment: str) -> dict:
    status, found = await world.get(f"/v1/payments/{payment}?expand=routing,timeline")
    assert status == 200, found
    return found


async def test_without_a_policy_the_order_is_as_given_and_is_recorded(world: World, s: Scrooge):
    _, made = await world.pay(instrument=await world.instrument(**BOTH))
    found = await shown(world, made["id"])
    [routing] = found["routing"]
    decision = routing["decision"]
    assert (decision["policy"], decision["way"], decision["propensity"]) == ("", "given", 1.0)
    assert [a["name"] for a in decision["accounts"]] == ["stripe", "adyen"]
    assert routing["attempt"] == found["latest_attempt"]
    assert "payment_routed" not in {row["type"] for row in found["timeline"]}


async def test_a_decision_is_recorded_whole_with_its_attempt(
    world: World, s: Scrooge, who: Principal, policy: Compiled
):
    p = await pay(s, who, await world.instrument(**BOTH))
    found = await shown(world, p.id)
    decision = found["routing"][0]["decision"]
    assert decision["policy"] == policy.version
    assert {a["name"] for a in decision["accounts"]} == {"stripe", "adyen"}
    assert sum(a["share"] for a in decision["accounts"]) == pytest.approx(1.0)
    assert decision["took"]["account"] == p.attempts[0].connector_account
    assert decision["took"]["propensity"] == decision["propensity"] == decision["accounts"][0]["share"]
    assert [row["type"] for row in found["timeline"]][:2] == ["payment_created", "payment_routed"]
    assert len(json.dumps(decision)) < 1500


async def test_who_is_passed_over_for_want_of_a_slot_is_named_and_counts_in_the_propensity(
    world: World, s: Scrooge, who: Principal, policy: Compiled, monkeypatch: pytest.MonkeyPatch
):
    first = s.limits.first

    async def second(accounts, until):
        return await first(accounts[1:], until)

    monkeypatch.setattr(s.limits, "first", second)
    p = await pay(s, who, await world.instrument(**BOTH))
    decision = (await shown(world, p.id))["routing"][0]["decision"]
    passed, took = decision["accounts"]
    assert decision["took"]["account"] == took["account"] == p.attempts[0].connector_account
    assert decision["took"]["passed"] == {passed["name"]: "no slot free"}
    assert decision["took"]["propensity"] == pytest.approx(1.0)


async def test_an_outcome_teaches_once_and_outlives_the_process(
    world: World, s: Scrooge, who: Principal, policy: Compiled, sql: asyncpg.Connection
):
    await sql.execute("DELETE FROM routing_effects")
    p = await pay(s, who, await world.instrument(**BOTH))
    account = p.attempts[0].connector_account
    learned = s.learning.of(who.merchant, False)
    evidence = learned.estimates.effects[()][account].precision
    assert evidence > 0
    await resolve.sync(s, who, p.id)  # The same news again.
    assert learned.estimates.effects[()][account].precision == evidence
    others = await sql.fetchval(KEPT, json.dumps([account])) or 0.0  # The world's own processes learn, too.
    await Remembering(s.db, s.learning).lessons()
    s.learning.known.clear()
    await Remembering(s.db, s.learning).lessons()  # As a process that starts.
    again = s.learning.of(who.merchant, False).estimates
    assert again.effects[()][account].precision == pytest.approx(evidence + others, rel=2e-3)
    assert again.export() == []


async def test_what_two_processes_learn_adds_up(world: World, s: Scrooge, who: Principal, policy, sql):
    await sql.execute("DELETE FROM routing_effects")
    for _ in range(2):
        s.learning.known.clear()
        p = await pay(s, who, await world.instrument(stripe=BOTH["stripe"]))
        alone = s.learning.of(who.merchant, False).estimates.effects[()][p.attempts[0].connector_account].precision
        await Remembering(s.db, s.learning).lessons()
    together = s.learning.of(who.merchant, False).estimates.effects[()][p.attempts[0].connector_account].precision
    assert together == pytest.approx(2 * alone, rel=0.01)


async def test_an_outage_is_routed_around_by_all_processes_and_blocks_nothing_begun(
    world: World, s: Scrooge, who: Principal, policy: Compiled, sql: asyncpg.Connection
):
    stripe = world.accounts["stripe"]["id"]
    card = await world.instrument(**BOTH)
    begun = [await pay(s, who, card, connector_account="stripe", capture="manual") for _ in range(2)]
    sold = await pay(s, who, card, connector_account="stripe")
    await world.fault("500_before", connector="stripe")
    try:
        for _ in range(3):
            await pay(s, who, card, connector_account="stripe")
        health = s.learning.of(who.merchant, False).health
        assert stripe in health.troubles
        routed = [await pay(s, who, card) for _ in range(5)]
        assert {p.attempts[0].connector_account for p in routed} <= {world.accounts["adyen"]["id"], stripe}
        assert sum(p.attempts[0].connector_account == stripe for p in routed) <= 2  # to find out whether it is well
        await Remembering(s.db, s.learning).troubles()
        s.learning.known.clear()  # Another process hears of it.
        await Remembering(s.db, s.learning).troubles()
        trouble = s.learning.of(who.merchant, False).health.troubles[stripe][()]
        assert trouble.state is State.DRAIN
    finally:
        await world.no_faults()
    assert stripe in s.learning.of(who.merchant, False).health.troubles
    for p, operation in ((begun[0], "capture"), (begun[1], "void"), (sold, "refund")):
        kind = Operation(operation)
        after, attempt, _ = await modify.modify(s, who, p, kind, None, f"r-{kind}", kind is Operation.CAPTURE, keyed())
        assert after.attempts[-1].operation is kind and after.attempts[-1].connector_account == stripe
