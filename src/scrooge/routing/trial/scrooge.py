"""Scrooge's own policy behind the trial's seam: what production decides with, and nothing besides.

It is told what a merchant knows: its accounts, what they cost by contract, and what a payment earns.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import structs

from scrooge.money import exponent_of
from scrooge.routing.choose import Candidate
from scrooge.routing.costs import Costs
from scrooge.routing.decide import decide
from scrooge.routing.decision import Knowledge
from scrooge.routing.estimates import Estimates
from scrooge.routing.facts import Facts
from scrooge.routing.health import Health
from scrooge.routing.learning import learn, note
from scrooge.routing.lessons import Heard as Ended
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.routing.shares import Shares
from scrooge.routing.tariff import Fee, Prices, Tariff
from scrooge.routing.trial.baselines import this_round
from scrooge.routing.trial.calendar import duration
from scrooge.routing.trial.enforced import RULES
from scrooge.routing.trial.later import Retries
from scrooge.routing.trial.strategy import Chance, Choice, Heard, Tried
from scrooge.routing.trial.world import Account, World
from scrooge.routing.when import When

KEPT = 200_000  # stored credentials of which the account is remembered


def policy_of(world: World, base: Policy | None = None) -> Policy:
    """The default policy, with this world's accounts and margin; `base` gives other settings of the scorer."""
    policy = default_policy([a.name for a in world.accounts])
    scorer = policy.scorer if base is None else base.scorer
    return structs.replace(policy, scorer=structs.replace(scorer, margin=percent(world.margin_bps)))


def prices_of(world: World) -> Prices:
    """What the accounts cost, as their contracts say it."""
    tariffs = [
        Tariff(account=a.name, valid_from="2000-01-01", fees=(*own(a, world), *surcharges(a, world)))
        for a in world.accounts
    ]
    return Prices(tariffs=tuple(tariffs))


def own(a: Account, world: World) -> list[Fee]:
    def fixed(minor: str) -> dict[str, str]:
        scale = Decimal(10) ** -exponent_of(world.currency)
        return {world.currency: f"{Decimal(minor) * scale:f}"}

    return [
        Fee(component="markup", name="per approval", rate=percent(a.cost.approved_bps),
            fixed=fixed(a.cost.approved_minor)),
        Fee(component="scheme", name="per attempt", fixed=fixed(a.cost.attempt_minor), on="attempt"),
    ]  # fmt: skip


def surcharges(a: Account, world: World) -> list[Fee]:
    return [
        Fee(component="interchange", name=s.name, when=When(iin=s.iins), rate=percent(bps))
        for s in world.segments
        if (bps := s.extra_bps.get(a.name, 0.0))
    ]


def percent(bps: float) -> str:
    return f"{Decimal(str(bps)) / 100:f}"


class Scrooge:
    def __init__(self, world: World, base: Policy | None = None) -> None:
        self.policy = Compiled(policy_of(world, base))
        self.scorer = self.policy.policy.scorer
        self.candidates = [
            Candidate(account=a.name, name=a.name, active=True, livemode=False, can_authorize=True)
            for a in world.accounts
        ]
        self.knowledge = Knowledge(
            estimates=Estimates(self.scorer.estimates), costs=Costs(prices_of(world)),
            health=Health(self.scorer.health), shares=Shares(),
        )  # fmt: skip
        self.retries = Retries(RULES, self.policy.margin, duration(world.renewals.within))
        self.homes: dict[str, str] = {}

    def decide(self, facts: Facts, accounts: Sequence[str], at: int, tried: Sequence[Tried], chance: Chance) -> Choice:
        now = this_round(tried, at)
        been = {t.account for t in now}
        if now and not self.retries.onward(facts, len(now), len(accounts) - len(been), tried[-1], tried):
            return self.retries.later(facts, tried, chance.random())
        knowledge = self.knowledge
        if facts.initiator == "merchant" and (home := self.homes.get(facts.instrument)):
            knowledge = structs.replace(knowledge, sticky=home)
        decision = decide(facts, self.policy, self.candidates, knowledge, chance.random(), tried=been)
        if not decision.scores:
            return self.retries.later(facts, tried, chance.random()) if tried else Choice()
        note(self.knowledge, decision, self.scorer, facts)
        return Choice(decision.scores[0].account, propensity=decision.propensity)

    def patience(self, account: str) -> float:
        """As in production: what is rare for this account."""
        return self.knowledge.health.late_after(account)

    def learn(self, facts: Facts, account: str, heard: Heard, at: int) -> None:
        if heard.outcome != "waiting":
            self.retries.learn(facts, heard)
        if heard.outcome == "late" and heard.waited:
            return  # It was called late when it was waited for.
        if heard.outcome == "approved" and facts.initiator == "merchant" and len(self.homes) < KEPT:
            self.homes[facts.instrument] = account
        if heard.again and heard.outcome in {"approved", "declined"}:
            return
        ended = Ended.LATE if heard.outcome in {"late", "waiting"} else Ended(heard.outcome)
        learn(self.knowledge, facts, account, ended, at, heard.decline, heard.seconds)
