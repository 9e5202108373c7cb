"""Policies that would harm whoever reads them are refused in time, and none stops the others from being read."""

import itertools
from typing import Any

import msgspec
import pytest

from scrooge.routing.estimates import Estimates
from scrooge.routing.health import Health
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.lint import STEPS_MOST, lint
from scrooge.storage import routed
from scrooge.storage.routed import Compiled
from tests.steering.conftest import Desk

ACCOUNT = {"name": "p", "accounts": {"stripe_eu": {}}}
NOT_NUMBERS = [
    {"estimates": {"prior": 1.0}}, {"estimates": {"prior": 0.0}}, {"estimates": {"half_life_events": 0}},
    {"estimates": {"half_life_hours": 0}}, {"estimates": {"spread_account": 0}}, {"estimates": {"spread_shared": -1}},
    {"health": {"technical": 0}}, {"health": {"technical_bad": 1.0}}, {"health": {"pause_seconds": 1e308}},
    {"health": {"technical": 0.3, "technical_bad": 0.2}},
]  # fmt: skip


@pytest.mark.parametrize("scorer", NOT_NUMBERS)
async def test_settings_with_which_nothing_can_be_reckoned_are_refused(desk: Desk, scorer: dict[str, Any]):
    status, problem = await desk.ask("POST", "policies", {"document": {**ACCOUNT, "scorer": scorer}})
    assert (status, problem["code"]) == (422, "policy_refused")
    assert problem["findings"][0]["place"].startswith("scorer.")


@pytest.mark.parametrize("part", ["least", "most"])
def test_with_whatever_settings_are_taken_one_can_reckon(part: str):
    schema = msgspec.json.schema(Policy)["$defs"]
    end = "minimum" if part == "least" else "maximum"
    scorer = {
        of: {name: said[end] for name, said in schema[f"scrooge.routing.{of}.Settings"]["properties"].items()}
        for of in ("estimates", "health")
    }
    policy = msgspec.convert({**ACCOUNT, "scorer": scorer}, Policy)
    assert lint(policy) == []
    Estimates(policy.scorer.estimates), Health(policy.scorer.health)


def test_sets_that_unfold_into_too_many_rules_are_refused_without_unfolding_them():
    names = [f"set{n}" for n in range(30)]
    sets = {name: [{"name": f"{name}{half}", "include": after} for half in "ab"]
            for name, after in itertools.pairwise(names)}  # fmt: skip
    document = {**ACCOUNT, "rules": [{"name": "all", "include": names[0]}],
                "sets": {**sets, names[-1]: [{"name": "end", "prefer": ["stripe_eu"]}]}}  # fmt: skip
    [finding] = lint(msgspec.convert(document, Policy))
    assert finding.place == "rules" and str(2**29) in finding.problem and str(STEPS_MOST) in finding.problem


async def test_a_policy_that_cannot_be_used_stops_no_other_from_being_read(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    routing = desk.api.s.routing
    first = await desk.activated(await desk.drafted("stripe_eu"))

    def broken(policy: Policy, outer: Compiled | None) -> Compiled:
        raise KeyError("a bug")

    monkeypatch.setattr(routed, "Compiled", broken)
    await desk.activated(await desk.drafted("stripe_us"), first["id"])
    made = await desk.ask("POST", "switches", {"connector_account": "adyen_eu", "state": "off", "reason": "x"})
    assert made[0] == 201
    assert routing.switches, "what came with it is read"
    [last] = routing.compiled.values()
    assert list(last.policy.accounts) == ["stripe_eu"], "and the last known counts"
