"""Why a payment would go where it goes: each score with its parts, each refusal with its words. Pure."""

from typing import Any

from msgspec import to_builtins

from scrooge.routing.costs import UNPRICED
from scrooge.routing.decision import Decision, Knowledge
from scrooge.routing.facts import Facts
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.when import unmet


def explained(decision: Decision, facts: Facts, policy: Compiled, knowledge: Knowledge) -> dict[str, Any]:
    """The decision as it is recorded, and beside every score what it is made of.

    `log_odds` are the effects behind `approval`; `cost` is by component, in billionths of a minor unit.
    """
    prices = knowledge.costs.prices(facts)
    shown = to_builtins(decision)
    for score in shown["scores"]:
        price = prices.get(score["account"], UNPRICED)
        parts = knowledge.estimates.parts(facts, score["account"], facts.at)
        score["log_odds"] = {key.replace(score["account"], score["name"]): effect for key, effect in parts.items()}
        score["cost"] = price.parts(facts.minor)
        score["cost_unknown"] = list(price.missing)
    shown["terms"] = {
        name: [list(unmet(condition, facts)) for condition in terms.takes]
        for name, terms in policy.policy.accounts.items()
        if name in decision.excluded and terms.takes and all(unmet(condition, facts) for condition in terms.takes)
    }
    return shown
