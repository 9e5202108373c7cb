"""Policies that would harm whoever reads them are refused in time, and none stops the others from being read."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from scrooge.flows import policy_checks
from scrooge.routing import tariff
from scrooge.routing.estimates import Estimates
from scrooge.routing.health import Health
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.lint import STEPS_MOST, lint
from scrooge.storage import routed
from scrooge.storage.routed import Compiled
from tests.api.asgi import asked
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


async def test_nothing_large_is_worked_through_where_payments_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """A policy of 150 kB takes seconds to compile, and so do prices with thousands of schedules to check."""
    waits = threading.current_thread()
    worked: list[str] = []

    def noted(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def working(*given: Any) -> Any:
            worked.append(name)
            assert threading.current_thread() is not waits, name
            return work(*given)

        return working

    for module in (policy_checks, routed):
        monkeypatch.setattr(module, "Compiled", noted("compile", Compiled))
    monkeypatch.setattr(tariff, "faults", noted("prices", tariff.faults))
    monkeypatch.setattr(routed, "costs_of", noted("costs", routed.costs_of))
    one = await desk.activated(await desk.drafted("stripe_eu"))
    await desk.activated(await desk.drafted("stripe_eu", name="own", caller="checkout"), None)
    assert (await desk.explained(policy=one["id"]))["policy"]
    prices = {"tariffs": [{"account": "stripe_eu", "valid_from": "2026-01-01"}]}
    assert (await desk.ask("POST", "tariffs", {"document": prices}))[0] == 201
    assert worked.count("compile") >= 5 and {"prices", "costs"} <= set(worked)


@pytest.mark.parametrize("path", ["policies", "tariffs"])
async def test_a_document_that_is_deeper_than_any_is_refused(desk: Desk, path: str):
    deep = "[" * 100_000 + "]" * 100_000
    sent = b'{"document": {"name": "x", "accounts": {}, "rules": %s}}' % deep.encode()
    got = await asked(desk.api, "POST", f"/v1/routing/{path}", [sent])
    assert got.status in (400, 422)
    less = "[" * 900 + "]" * 900
    got = await asked(desk.api, "POST", f"/v1/routing/{path}", [sent.replace(deep.encode(), less.encode())])
    assert got.status in (400, 422)
