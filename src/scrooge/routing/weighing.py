"""What each account is worth for a payment: P(approval) x margin - expected cost - waiting. Pure."""

import math
from collections.abc import Sequence

from msgspec import Struct

from scrooge.routing.choose import Candidate
from scrooge.routing.costs import NANO, UNPRICED
from scrooge.routing.decision import Knowledge
from scrooge.routing.facts import Facts
from scrooge.routing.policy.plan import Compiled, Plan
from scrooge.routing.volumes import steering


class Weighed(Struct):
    """A score that is not final yet."""

    candidate: Candidate
    probe: bool
    value: float
    gain: float  # what an approval is worth, compared with a decline, in minor units
    approval: float
    doubt: float
    cost_nano: int
    waiting: float
    steering: float


def weighed(
    facts: Facts, policy: Compiled, plan: Plan, chosen: Sequence[tuple[Candidate, bool]], knowledge: Knowledge
) -> list[Weighed]:
    """The expected value of each: P(approval) x margin - expected cost - waiting, and what steers beside."""
    minor, scorer = facts.minor, policy.policy.scorer
    earned = policy.margin * minor
    patience = policy.patience * minor if facts.initiator == "customer" else 0.0
    guesses = knowledge.estimates.estimates(facts, [c.account for c, _ in chosen], facts.at)
    prices = knowledge.costs.prices(facts)
    latencies, bounds, preferred, currency = knowledge.health.latencies, policy.bounds, plan.preferred, facts.currency
    boldness, sqrt, exp = scorer.boldness, math.sqrt, math.exp
    found = []
    for (c, probe), guess in zip(chosen, guesses, strict=True):
        account = c.account
        price = prices.get(account, UNPRICED)
        if price.bounded:
            cost, lost = price.approved(minor), price.declined(minor)
        else:  # The same, without two calls: this is most of what a decision does.
            cost, lost = minor * price.rate + price.fixed, minor * price.attempt_rate + price.attempt_fixed
        gain = earned - (cost - lost) / NANO
        p = 1.0 / (1.0 + exp(-guess.odds))
        waiting = patience * latencies[account].mean if patience and account in latencies else 0.0
        steered = scorer.prefer * earned if preferred and c.name in preferred else 0.0
        if bounds and (known := bounds.get((c.name, currency))):
            steered += steering(known, c.name, facts, knowledge.volumes)
        value = p * gain - lost / NANO - waiting + steered
        doubt = p * (1.0 - p) * sqrt(guess.variance) * abs(gain) * boldness
        found.append(Weighed(c, probe, value, gain, p, doubt, cost, waiting, steered))
    return found
