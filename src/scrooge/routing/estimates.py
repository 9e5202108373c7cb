"""How likely an account is to get an approval for a payment, learned from outcomes that fade with time. Pure.

A logistic model of effects, each shrunk toward nothing until outcomes speak for it. Effects that all accounts share
(the brand's, the country's, the issuer's, the BIN's) are apart from those of one account (its own, and its own with the
brand, the country, the issuer, the BIN): so an account that gets the difficult cards is not taken for a bad one, and a
segment with few payments is judged by its parents. Every outcome is shared out among its effects in proportion to how
uncertain each is: a Kalman filter with one variance per effect (as in Graepel et al., "Web-scale Bayesian click-through
rate prediction", 2010). What is known of an effect is a sum of evidence, which halves with time and with events, and
adds up whoever learned it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from scrooge.routing.facts import Facts
from scrooge.routing.lessons import Lesson

Key = tuple[str, ...]
MICROSECONDS = 1e6
FURTHEST = 6.0  # log odds: beyond it a probability is as good as 0 or 1
TICKS = 256  # in a half-life
Spread = Annotated[float, Meta(ge=0.001, le=5)]
SURELY = 0.01  # p (1 - p) is taken to be at least this, so that no one outcome moves everything


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`prior` is the approval rate before anything is known; spreads are standard deviations of effects in log odds."""

    prior: Annotated[float, Meta(ge=0.01, le=0.99)] = 0.85
    half_life_hours: Annotated[float, Meta(ge=0.1, le=100_000)] = 24.0
    half_life_events: Annotated[float, Meta(ge=10, le=1e9)] = 4000.0
    spread_shared: Spread = 0.8
    spread_account: Spread = 0.25


DEFAULT = Settings()


class Estimate(Struct, frozen=True):
    """`odds` are log odds; `variance` is that of the account's own effects: what all share puts none before another."""

    odds: float
    variance: float

    @property
    def approval(self) -> float:
        return expit(self.odds)


class Delta(Struct, frozen=True, array_like=True):
    """What one process learned of an effect since it last said so: add it to what is kept, which has faded by `events`.

    `key` is the account ("" for all of them) and the segment.
    """

    key: Key
    events: float
    precision: float
    pull: float
    at: int


class Kept(Struct, frozen=True, array_like=True):
    """An effect as it is kept: evidence beyond the prior (precision, and precision times mean) as of `at`."""

    key: Key
    precision: float
    pull: float
    at: int


def expit(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds))


def logit(p: float) -> float:
    return math.log(p / (1.0 - p))


# How the variance of an account's approval, from payment to payment, is spread over the levels: assumed. Who initiates
# a payment matters everywhere; beside that accounts differ by country and issuer alike for payers and merchants.
PARTS = {"": 0.2, "manner": 0.1, "brand": 0.1, "country": 0.3, "issuer": 0.2, "iin": 0.1}


def levels(facts: Facts) -> tuple[Key, ...]:
    """The segments that a payment is in, from the widest to the narrowest. What is unknown makes no level."""
    f = facts
    found: list[Key] = [(), ("manner", f.method, f.initiator, f.three_ds)]
    if f.brand:
        found.append(("brand", f.brand, f.funding))
    if f.country:
        found.append(("country", f.brand, f.country))
    if f.issuer:
        found.append(("issuer", f.brand, f.country, f.issuer))
    if f.iin:
        found.append(("iin", f.iin))
    return tuple(found)


class Effect:
    """Evidence beyond the prior as of `at`: precision, and precision times mean; mean and variance as of `tick`."""

    __slots__ = ("at", "mean", "precision", "pull", "tick", "variance")

    def __init__(self, precision: float = 0.0, pull: float = 0.0, at: int = 0) -> None:
        self.precision, self.pull, self.at = precision, pull, at
        self.tick, self.mean, self.variance = -1, 0.0, 0.0


NOTHING: dict[str, Effect] = {}
Node = tuple[str, Key, Effect]


class Estimates:
    """Effects by segment and account ("" for all of them). Mutable; the same for the same lessons in order."""

    def __init__(self, settings: Settings = DEFAULT) -> None:
        self.settings = settings
        self.start = logit(settings.prior)
        self.effects: dict[Key, dict[str, Effect]] = {}
        self.news: dict[tuple[str, Key], list[float]] = {}
        half_life = settings.half_life_hours * 3600 * MICROSECONDS
        self.rate = math.log(2) / half_life
        self.per_event = math.log(2) / settings.half_life_events
        self.tick_length = max(1, int(half_life / TICKS))
        self.unknown = {level: settings.spread_account**2 * part for level, part in PARTS.items()}
        self.shared = {level: settings.spread_shared**2 * part for level, part in PARTS.items()}

    def refresh(self, effect: Effect, owner: str, key: Key, tick: int) -> None:
        """Mean and variance as of this tick; what fades within one is too little to matter."""
        fade = math.exp(min(0.0, (effect.at - tick * self.tick_length) * self.rate))
        prior = (self.unknown if owner else self.shared)[key[0] if key else ""]
        effect.variance = prior / (1.0 + prior * effect.precision * fade)
        effect.mean = effect.pull * fade * effect.variance
        effect.tick = tick

    def effect(self, owner: str, key: Key, tick: int) -> Effect:
        """As of this tick; a new one where there is none, which nobody remembers."""
        found = self.effects.get(key, NOTHING).get(owner) or Effect()
        if found.tick != tick:
            self.refresh(found, owner, key, tick)
        return found

    def estimates(self, facts: Facts, accounts: Sequence[str], at: int) -> list[Estimate]:
        """For several accounts at once, in their order: what they share is read once."""
        found, tick = levels(facts), at // self.tick_length
        shared = self.start + sum(self.effect("", key, tick).mean for key in found)
        tables = [(key, self.unknown[key[0] if key else ""], self.effects.get(key, NOTHING)) for key in found]
        result = []
        for account in accounts:
            odds, variance = shared, 0.0
            for key, unknown, table in tables:
                effect = table.get(account)
                if effect is None:
                    variance += unknown
                else:
                    if effect.tick != tick:
                        self.refresh(effect, account, key, tick)
                    odds += effect.mean
                    variance += effect.variance
            result.append(Estimate(odds, variance))
        return result

    def estimate(self, facts: Facts, account: str, at: int) -> Estimate:
        return self.estimates(facts, (account,), at)[0]

    def parts(self, facts: Facts, account: str, at: int) -> dict[str, float]:
        """Each effect in log odds, by what it is of; they add up to the estimate's."""
        shown, tick = {"prior": self.start}, at // self.tick_length
        for owner in ("", account):
            for key in levels(facts):
                shown[" ".join(filter(None, (owner or "all accounts", *key)))] = self.effect(owner, key, tick).mean
        return shown

    def nodes(self, facts: Facts, account: str, at: int) -> list[Node]:
        """What a payment at an account is about: effects of their owners, those that all share and the account's."""
        tick = at // self.tick_length
        return [(o, key, self.effect(o, key, tick)) for key in levels(facts) for o in ("", account)]

    def expected(self, nodes: Sequence[Node]) -> float:
        return expit(self.start + sum([effect.mean for _, _, effect in nodes]))

    def learn(self, facts: Facts, account: str, lesson: Lesson, at: int, nodes: Sequence[Node] | None = None) -> None:
        """`nodes`: as they were read at this moment, where they were."""
        if lesson.weight <= 0.0:
            return
        nodes = nodes or self.nodes(facts, account, at)
        odds, doubt, squares = self.start, 0.0, 0.0
        for _, _, effect in nodes:
            odds += effect.mean
            doubt += effect.variance
            squares += effect.variance * effect.variance
        p = expit(max(-FURTHEST, min(FURTHEST, odds)))
        information = max(SURELY, p * (1.0 - p)) * lesson.weight
        spread = 1.0 / information + doubt
        together = doubt * doubt / squares
        surprise = (float(lesson.approved) - p) * lesson.weight / information
        for owner, key, effect in nodes:
            gain = effect.variance / spread
            before = 1.0 / effect.variance
            # Effects are learned together: if each variance shrank by its own part only, their sum would stay as many
            # times too large as there are effects alike, and old outcomes would be forgotten that much faster.
            more = before * gain / (1.0 - gain) * together
            pull = (before + more) * (effect.mean + gain * surprise) - before * effect.mean
            if key not in self.effects:
                self.effects[key] = {}
            self.effects[key][owner] = effect
            self.add(owner, key, effect, more, pull, lesson.weight, at)

    def add(self, owner: str, key: Key, effect: Effect, precision: float, pull: float, events: float, at: int) -> None:
        """To what is known, and to what others have not heard of yet."""
        last, ended = effect.at, self.per_event * events
        fade = math.exp((last - at) * self.rate - ended if last < at else -ended)
        effect.precision = effect.precision * fade + precision
        effect.pull = effect.pull * fade + pull
        effect.at, effect.tick = last if last > at else at, -1
        news = self.news.get((owner, key))
        if news is None:
            self.news[owner, key] = [events, precision, pull, at]
            return
        if news[3] != last:
            last = news[3]
            fade = math.exp((last - at) * self.rate - ended if last < at else -ended)
        news[0] += events
        news[1] = news[1] * fade + precision
        news[2] = news[2] * fade + pull
        news[3] = last if last > at else at

    def export(self) -> list[Delta]:
        """What was learned since the last export; it is the caller's to keep from now on."""
        news, self.news = self.news, {}
        return [Delta((owner, *key), n, g, h, int(at)) for (owner, key), (n, g, h, at) in news.items()]

    def load(self, rows: Iterable[Kept]) -> None:
        """Take what is kept for all processes, and add what is not exported yet."""
        for row in rows:
            owner, *rest = row.key
            key: Key = tuple(rest)
            news = self.news.get((owner, key))
            if news is not None:
                row = merged(row, Delta(row.key, news[0], news[1], news[2], int(news[3])), self.settings)
            self.effects.setdefault(key, {})[owner] = Effect(row.precision, row.pull, row.at)


def merged(kept: Kept, delta: Delta, settings: Settings) -> Kept:
    """Evidence adds up; what came before fades by the time and the events since."""
    at = max(kept.at, delta.at)
    half_life = settings.half_life_hours * 3600 * MICROSECONDS
    before = 2.0 ** ((kept.at - at) / half_life - delta.events / settings.half_life_events)
    since = 2.0 ** ((delta.at - at) / half_life)
    return Kept(
        kept.key, kept.precision * before + delta.precision * since, kept.pull * before + delta.pull * since, at
    )


def keep(kept: Mapping[Key, Kept], deltas: Iterable[Delta], settings: Settings) -> dict[Key, Kept]:
    """What is kept after these deltas: what the database does in one statement, in Python for tests and trials."""
    result = dict(kept)
    for d in deltas:
        result[d.key] = merged(result.get(d.key) or Kept(d.key, 0.0, 0.0, d.at), d, settings)
    return result
