"""What Scrooge does after a decline in the trial: the production code for the next step and for later moments."""

from collections.abc import Sequence
from itertools import pairwise

from scrooge.domain.outcome import Declined, Outcome, Rejected, Unknown
from scrooge.domain.retry import Elsewhere, Stop
from scrooge.routing import timing
from scrooge.routing.declines.catalogue import catalogue, read
from scrooge.routing.facts import Facts
from scrooge.routing.later import Failed
from scrooge.routing.retries import Situation, next_step
from scrooge.routing.schemes.allowed import Allowed, Past, allowed
from scrooge.routing.schemes.rules import Attempt, Refused, Rules
from scrooge.routing.trial.baselines import ROUND
from scrooge.routing.trial.enforced import initiator_of
from scrooge.routing.trial.strategy import STOP, Choice, Heard, Tried


def outcome_of(heard: Heard) -> Outcome:
    """As a connector would say it."""
    if heard.outcome == "technical":
        return Rejected("not processed")
    if heard.outcome != "declined" or heard.decline is None:
        return Unknown("no usable answer")
    return Declined(heard.decline, network_code=heard.network_code, advice_code=heard.advice_code)


def rounds(tried: Sequence[Tried]) -> int:
    """A cascade is one try of the schedule."""
    return 1 + sum(b.at - a.at >= ROUND for a, b in pairwise(tried))


class Retries:
    """`margin` is the part of an amount that an approval earns. Mutable: it learns when retries are approved."""

    def __init__(self, rules: Rules, margin: float, within: int) -> None:
        self.rules, self.margin, self.within = rules, margin, within
        self.cells: timing.Cells = {}
        self.planned: dict[tuple[str, int], tuple[Failed, int]] = {}

    def onward(self, facts: Facts, tries: int, left: int, last: Tried, tried: Sequence[Tried]) -> bool:
        """May another account be asked at once?"""
        verdict = self.verdict(facts, tried, facts.at)
        situation = Situation(brand=facts.brand, allowed=verdict)
        return isinstance(next_step(outcome_of(last.heard), tries, left, situation), Elsewhere)

    def later(self, facts: Facts, tried: Sequence[Tried], chance: float) -> Choice:
        """The moment of the next round, or none."""
        outcome = outcome_of(tried[-1].heard)
        if not isinstance(outcome, Declined) or facts.initiator != "merchant":
            return STOP
        reading = read(catalogue(), outcome, "", facts.brand)
        failed = Failed(
            decline=reading.decline, advice=reading.advice, initiator=facts.initiator, first_at=tried[0].at,
            last_at=tried[-1].at, tries=rounds(tried), deadline=tried[0].at + self.within, country=facts.country,
            margin_minor=int(facts.minor * self.margin),
        )  # fmt: skip
        step = timing.later(failed, lambda at: self.verdict(facts, tried, at), self.cells, chance)
        if isinstance(step, Stop):
            return STOP
        self.planned[facts.instrument, tried[0].at] = failed, step.at
        return Choice(later=step.at, propensity=step.propensity)

    def learn(self, facts: Facts, heard: Heard) -> None:
        """`facts` are those of the payment's beginning. Only what became of a retry at its moment teaches timing."""
        planned = self.planned.pop((facts.instrument, facts.at), None)
        if planned is not None and heard.outcome in {"approved", "declined"}:
            failed, at = planned
            self.cells = timing.added(self.cells, timing.learned(failed, at, heard.outcome == "approved"))

    def verdict(self, facts: Facts, tried: Sequence[Tried], at: int) -> Allowed | Refused:
        """What the schemes say to one attempt more with this card, as far as this payment knows."""
        history = [
            Past(at=t.at, minor=facts.minor, currency=facts.currency, initiator=initiator_of(facts),
                 outcome="rejected" if t.heard.outcome == "technical" else t.heard.outcome,
                 network_code=t.heard.network_code or "", advice_code=t.heard.advice_code or "")
            for t in tried if t.heard.outcome in {"technical", "declined"}
        ]  # fmt: skip
        return allowed(self.rules, history, Attempt(
            merchant=facts.merchant, card=facts.instrument, brand=facts.brand, minor=facts.minor,
            currency=facts.currency, initiator=initiator_of(facts), at=at,
        ))  # fmt: skip
