"""An explanation accounts for every score and every refusal."""

import math

import pytest

from scrooge.routing.choose import Candidate
from scrooge.routing.costs import Costs
from scrooge.routing.decide import decide
from scrooge.routing.decision import Knowledge
from scrooge.routing.estimates import Estimates
from scrooge.routing.explain import explained
from scrooge.routing.facts import Facts
from scrooge.routing.health import Health
from scrooge.routing.lessons import FAILURE
from scrooge.routing.policy.document import Policy, Terms
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.shares import Shares
from scrooge.routing.tariff import Fee, Prices, Tariff
from scrooge.routing.when import Range, When


def test_the_parts_add_up_and_refusals_name_the_words():
    facts = Facts(currency="EUR", minor=5000, at=1_700_000_000_000_000, country="DE", brand="visa", iin="411111")
    fee = Fee(component="blended", name="all in", rate="1.4", fixed={"EUR": "0.25"})
    costs = Costs(Prices(tariffs=(Tariff(account="con_a", valid_from="2020-01-01", fees=(fee,)),)))
    knowledge = Knowledge(estimates=Estimates(), costs=costs, health=Health(), shares=Shares())
    knowledge.estimates.learn(facts, "con_a", FAILURE, facts.at)
    takes = (When(country=("FR",), amount=(Range("EUR", max="10.00"),)), When(brand=("amex",)))
    policy = Compiled(Policy(name="p", accounts={"a": Terms(), "b": Terms(takes=takes)}))
    those = [Candidate("con_a", "a", True, False, True), Candidate("con_b", "b", True, False, True)]
    shown = explained(decide(facts, policy, those, knowledge, 0.5), facts, policy, knowledge)
    [score] = shown["scores"]
    assert 1 / (1 + math.exp(-sum(score["log_odds"].values()))) == pytest.approx(score["approval"])
    assert sum(score["cost"].values()) == score["cost_nano"] == 95 * 10**9
    assert score["log_odds"]["a"] < 0, "named as people name it"
    assert shown["excluded"] == {"b": "its terms do not take such a payment"}
    assert shown["terms"] == {"b": [["amount", "country"], ["brand"]]}
