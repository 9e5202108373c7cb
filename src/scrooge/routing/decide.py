"""Which accounts to ask for an authorization, in which order, and why: to be kept and judged later. Pure.

Only authorizations are decided. What was begun at an account is captured, refunded, voided and asked about there,
whatever its health.
"""

from collections.abc import Collection, Sequence

from scrooge.routing.choose import Candidate
from scrooge.routing.decision import Decision, Knowledge, Score
from scrooge.routing.facts import Facts
from scrooge.routing.matching import best_shares, drawn
from scrooge.routing.policy.plan import Compiled, Plan, Way
from scrooge.routing.sorting import Sorting
from scrooge.routing.weighing import Weighed, weighed

BECAUSE = {
    "pinned": "the caller asked for this account",
    "sticky": "the stored credential stays where it was approved",
    "listed": "in the order of the rule",
    "split": "by the shares of the rule",
    "scored": "by expected value",
}


def decide(
    facts: Facts,
    policy: Compiled,
    candidates: Sequence[Candidate],
    knowledge: Knowledge,
    chance: float,
    only: str | None = None,
    tried: Collection[str] = (),
) -> Decision:
    """The same for the same knowledge and `chance`, which is in [0, 1) and draws among what may be chosen.

    `only`: the account, by id or name, that the caller asks for; `tried`: those that this payment has been to.
    """
    plan = policy.plan(facts)
    sorting = Sorting(facts, policy, plan, knowledge, only, tried)
    for candidate in candidates:
        sorting.sort(candidate)
    chosen, because = sorting.chosen()
    if not chosen:
        return Decision(policy=policy.version, way=plan.way, scores=(), excluded=sorting.excluded, propensity=1.0,
                        rules=plan.rules, because="no account may take this payment", at=facts.at)  # fmt: skip
    scored = weighed(facts, policy, plan, chosen, knowledge)
    way, shares = ways(facts, policy, plan, scored, knowledge, only)
    first = drawn(shares, chance)
    scores = ordered(scored, shares, first, plan)
    return Decision(policy=policy.version, way=way, scores=scores, excluded=sorting.excluded, propensity=shares[first],
                    rules=plan.rules, because=because or BECAUSE[way], at=facts.at)  # fmt: skip


def ways(
    facts: Facts, policy: Compiled, plan: Plan, scored: Sequence[Weighed], knowledge: Knowledge, only: str | None
) -> tuple[str, list[float]]:
    """How the first is chosen, and with which probability each would be."""
    scorer = policy.policy.scorer
    usual = [i for i, w in enumerate(scored) if not w.probe]
    some = [scored[i] for i in usual]
    way = str(plan.way)
    if only is not None:
        way, part = "pinned", [1.0]
    elif (stays := sticking(facts, some, knowledge, scorer.stickiness)) is not None and plan.way is Way.SCORED:
        way, part = "sticky", [float(i == stays) for i in range(len(some))]
    elif plan.way is Way.LISTED:
        leader = min(range(len(some)), key=lambda i: plan.places[some[i].candidate.name])
        part = [float(i == leader) for i in range(len(some))]
    elif plan.way is Way.SPLIT:
        asked = [plan.shares[w.candidate.name] for w in some]
        total = sum(asked)
        part = [share / total for share in asked] if total > 0 else [1.0 / len(some)] * len(some)
    else:
        part = best_shares(some, scorer.floor)
        part = knowledge.shares.limited([w.candidate.account for w in some], part, scorer.share_step)
    probes = scorer.probes if len(usual) < len(scored) and way != "sticky" else 0.0
    shares = [probes] * len(scored)
    for place, share in zip(usual, part, strict=True):
        shares[place] = share * (1.0 - probes)
    return way, shares


def sticking(facts: Facts, some: Sequence[Weighed], knowledge: Knowledge, gap: float) -> int | None:
    """Where a payment that the merchant initiates stays, unless another account is better by more than the gap."""
    if facts.initiator != "merchant" or knowledge.sticky is None:
        return None
    here = next((i for i, w in enumerate(some) if w.candidate.account == knowledge.sticky), None)
    if here is None:
        return None
    best = max(w.value for w in some)
    return here if best - some[here].value <= gap * abs(some[here].gain) else None


def ordered(scored: Sequence[Weighed], shares: Sequence[float], first: int, plan: Plan) -> tuple[Score, ...]:
    """The one that was drawn; then the rule's order or the best by value; one that is only probed last."""
    places = plan.places if plan.way is Way.LISTED else {}

    def rank(i: int) -> tuple[bool, bool, float]:
        w = scored[i]
        return i != first, w.probe, places.get(w.candidate.name, -w.value) if places else -w.value

    return tuple(
        Score(
            account=w.candidate.account,
            name=w.candidate.name,
            value=w.value,
            share=shares[i],
            approval=w.approval,
            doubt=w.doubt,
            cost_nano=w.cost_nano,
            waiting=w.waiting,
            steering=w.steering,
            probe=w.probe,
        )
        for i in sorted(range(len(scored)), key=rank)
        for w in (scored[i],)
    )
