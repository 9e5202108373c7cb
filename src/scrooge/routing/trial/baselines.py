"""What Scrooge's policy is compared with: they cascade like Scrooge, and retry renewals on fixed days."""

from collections import deque
from collections.abc import Callable, Sequence

from scrooge.domain.declines import Advice
from scrooge.domain.retry import NEVER_AGAIN, TRIES_MAX
from scrooge.routing.facts import Facts
from scrooge.routing.trial.calendar import DAY, MINUTE
from scrooge.routing.trial.strategy import PATIENCE, STOP, Chance, Choice, Heard, Strategy, Tried

LATER_DAYS = (1, 3, 7)  # after the first attempt: what many shops do, whatever the reason
ROUND = 15 * MINUTE  # no cascade takes so long, and no later round comes so soon


class Ladder:
    """Asks the accounts in the order of `ranked`, and goes on as long as the rules of the cascade let it."""

    def decide(self, facts: Facts, accounts: Sequence[str], at: int, tried: Sequence[Tried], chance: Chance) -> Choice:
        now = this_round(tried, at)
        if not now:
            ranked, propensity = self.ranked(facts, accounts, chance)
            return Choice(ranked[0], propensity=propensity)
        if onward(now) and len(now) < TRIES_MAX:
            asked = {t.account for t in now}
            left = [a for a in accounts if a not in asked]
            if left:
                ranked, propensity = self.ranked(facts, left, chance)
                return Choice(ranked[0], propensity=propensity)
        return later(facts, tried)

    def ranked(self, facts: Facts, accounts: Sequence[str], chance: Chance) -> tuple[list[str], float]:
        """Accounts, best first, and the probability with which the first one is the first."""
        raise NotImplementedError

    def learn(self, facts: Facts, account: str, heard: Heard, at: int) -> None:
        """Most baselines do not."""

    def patience(self, account: str) -> float:
        return PATIENCE


def this_round(tried: Sequence[Tried], at: int) -> list[Tried]:
    """The attempts of the cascade that is under way; none at the beginning of a later round."""
    if not tried or at - tried[-1].at >= ROUND:
        return []
    return [t for t in tried if t.at >= tried[-1].at - ROUND]


def onward(now: Sequence[Tried]) -> bool:
    """May another account be asked at once?"""
    heard = now[-1].heard
    if heard.outcome == "technical":
        return True
    return (
        heard.outcome == "declined"
        and heard.decline is not None
        and heard.decline.advice is Advice.RETRY_ELSEWHERE
        and heard.advice_code not in NEVER_AGAIN
    )


def later(facts: Facts, tried: Sequence[Tried]) -> Choice:
    """The next fixed day for a renewal that may be asked about again."""
    heard = tried[-1].heard
    mends = heard.decline is not None and heard.decline.advice in {Advice.RETRY_LATER, Advice.RETRY_ELSEWHERE}
    if facts.initiator != "merchant" or not (mends or heard.outcome == "technical"):
        return STOP
    first = tried[0].at
    return next((Choice(later=m) for d in LATER_DAYS if (m := first + d * DAY) > tried[-1].at + DAY // 2), STOP)


class Fixed(Ladder):
    """One account and no other."""

    def __init__(self, account: str) -> None:
        self.account = account

    def decide(self, facts: Facts, accounts: Sequence[str], at: int, tried: Sequence[Tried], chance: Chance) -> Choice:
        return super().decide(facts, [self.account], at, tried, chance)

    def ranked(self, facts: Facts, accounts: Sequence[str], chance: Chance) -> tuple[list[str], float]:
        return list(accounts), 1.0


class Uniform(Ladder):
    """Any account, as chance has it."""

    def ranked(self, facts: Facts, accounts: Sequence[str], chance: Chance) -> tuple[list[str], float]:
        first = min(int(chance.random() * len(accounts)), len(accounts) - 1)
        return [accounts[first], *(a for a in accounts if a != accounts[first])], 1 / len(accounts)


class RoundRobin(Ladder):
    """One after the other."""

    def __init__(self) -> None:
        self.turn = 0

    def ranked(self, facts: Facts, accounts: Sequence[str], chance: Chance) -> tuple[list[str], float]:
        self.turn += 1
        place = self.turn % len(accounts)
        return [*accounts[place:], *accounts[:place]], 1.0


Key = tuple[str, ...]


class Window(Ladder):
    """The success rate of the last outcomes for each key and account, as open-source peers have it.

    From ../shared/reference/peers.md 5.1: a list of the last 125 outcomes, begun with successes only; any failure
    counts, whatever its reason; with 5 % all accounts but the best are put above the best. The key is theirs, too:
    initiator, funding, brand and country. `worth`, if given, turns a rate into what accounts are ranked by (5.3).
    """

    SIZE, EXPLORATION = 125, 0.05

    def __init__(self, worth: Callable[[Facts, str, float], float] | None = None) -> None:
        self.worth = worth
        self.outcomes: dict[Key, deque[int]] = {}
        self.successes: dict[Key, int] = {}

    def ranked(self, facts: Facts, accounts: Sequence[str], chance: Chance) -> tuple[list[str], float]:
        scores = {a: self.score(facts, a) for a in accounts}
        ranked = sorted(accounts, key=scores.__getitem__, reverse=True)
        if len(ranked) > 1 and chance.random() < self.EXPLORATION:
            return [*ranked[1:], ranked[0]], self.EXPLORATION
        return ranked, 1.0 if len(ranked) == 1 else 1 - self.EXPLORATION

    def score(self, facts: Facts, account: str) -> float:
        rate = self.successes.get(key(facts, account), self.SIZE) / self.SIZE
        return rate if self.worth is None else self.worth(facts, account, rate)

    def learn(self, facts: Facts, account: str, heard: Heard, at: int) -> None:
        if heard.outcome == "waiting":
            return
        spot = key(facts, account)
        if spot not in self.outcomes:
            self.outcomes[spot], self.successes[spot] = deque([1] * self.SIZE, self.SIZE), self.SIZE
        won = int(heard.outcome == "approved")
        self.successes[spot] += won - self.outcomes[spot][0]
        self.outcomes[spot].append(won)


def key(facts: Facts, account: str) -> Key:
    return facts.initiator, facts.funding, facts.brand, facts.country, account


BASELINES: dict[str, Callable[[], Strategy]] = {"window": Window, "random": Uniform, "round_robin": RoundRobin}
