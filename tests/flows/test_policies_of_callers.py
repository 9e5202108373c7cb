"""What callers' own policies may change: where their payments go, and nothing of what is learned for everybody."""

from collections.abc import AsyncIterator

import pytest
from msgspec import structs
from tests.world import World

from scrooge.flows.authorize import instrument_of
from scrooge.flows.route import Asked, route_of
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.estimates import Settings as Learned
from scrooge.routing.health import Settings
from scrooge.routing.policy.document import Scorer
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage.directory import Principal

NAMES = ["stripe", "adyen"]
THEIRS = {"shop": Scorer(estimates=Learned(half_life_hours=6.0)), "app": Scorer(health=Settings(pause_seconds=60.0))}


@pytest.fixture
async def callers(s: Scrooge, world: World) -> AsyncIterator[list[Principal]]:
    """Two callers of one merchant, each with a policy of its own."""
    found = await s.directory.principal(world.key)
    assert found is not None
    several = [structs.replace(found, caller=f"clr_{name}", caller_name=name) for name in THEIRS]
    for who in several:
        own = structs.replace(default_policy(NAMES), caller=who.caller_name, scorer=THEIRS[who.caller_name])
        scope = (who.merchant, who.livemode, who.caller)
        s.routing.active[scope], s.routing.compiled[scope] = f"pol_{who.caller_name}", Compiled(own)
    s.learning.known.clear()
    yield several
    for scope in [scope for scope in s.routing.active if scope[2] is None or scope[2] in {"clr_shop", "clr_app"}]:
        del s.routing.active[scope], s.routing.compiled[scope]


async def routed(s: Scrooge, world: World, who: Principal) -> None:
    instrument = await instrument_of(s, who, await world.instrument(stripe="pm_card_visa", adyen="stored_visa"), None)
    found = await route_of(s, who, instrument, None, Asked(minor=1299, currency="EUR"))
    assert len(found.accounts) == 2
    assert found.scorer == THEIRS[who.caller_name], "its own margin, floor and steps count for its payments"


async def test_policies_of_two_callers_do_not_begin_what_is_learned_anew(
    s: Scrooge, world: World, callers: list[Principal]
):
    learned = s.learning.of(callers[0].merchant, False)
    estimates, health = learned.estimates, learned.health
    for who in callers * 2:
        await routed(s, world, who)
        assert learned.estimates is estimates
        assert learned.health is health


async def test_settings_of_learning_are_those_of_the_merchants_own_policy(
    s: Scrooge, world: World, callers: list[Principal]
):
    scope = (callers[0].merchant, callers[0].livemode, None)
    own = Compiled(structs.replace(default_policy(NAMES), scorer=Scorer(health=Settings(pause_seconds=30.0))))
    s.routing.active[scope], s.routing.compiled[scope] = "pol_own", own
    for who in callers:
        inner = (*scope[:2], who.caller)
        compiled = s.routing.compiled[inner]
        assert compiled is not None
        s.routing.compiled[inner] = Compiled(compiled.policy, own)
        await routed(s, world, who)
        assert s.learning.of(who.merchant, False).health.settings == own.policy.scorer.health
