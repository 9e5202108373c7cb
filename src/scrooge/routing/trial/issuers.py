"""The simulated issuers and accounts of one world: how likely each answer is at a moment, and which one comes."""

import math
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate

from msgspec import Struct

from scrooge.domain.declines import Decline
from scrooge.routing.facts import Facts
from scrooge.routing.trial.calendar import DAY, SECOND, duration, hour_of_day, moment, paydays, zone
from scrooge.routing.trial.luck import Z99, draw, mixed, normal, waiting
from scrooge.routing.trial.rules import Gate, Rules, Why
from scrooge.routing.trial.strategy import Heard
from scrooge.routing.trial.world import POINTS, Behavior, Drift, Outage, Reason, Segment, Trouble, World

LEAST, MOST = 0.001, 0.999  # no issuer is ever sure
# What a draw is about: numbers that keep the kinds of luck apart.
ARRIVAL, WHICH, AMOUNT, CARD, RENEWAL, SPEED, TECHNICAL, AGREES, COMMON, OWN, WHY, FAILS, TYPE, LACKS, ENDS = range(15)
HORIZON = 400 * DAY  # paydays are known so far ahead


class Payment(Struct):
    """One payment of the stream. `key` is its luck; `card` the number of the card within its segment."""

    number: int
    key: int
    at: int
    segment: int
    card: int
    minor: int
    renewal: bool


class Condition(Struct, frozen=True):
    """A trouble, ready to be looked up; `period` is its place in time (0 for ever)."""

    why: Why
    share: float
    lasts: str
    early: float
    again: float


class Kind(Struct):
    """A segment, ready to be asked: lists go by the account's place in the world."""

    segment: Segment
    behavior: Behavior
    base: list[float]
    drifts: list[list[Drift]]
    value: list[tuple[float, float]]  # what an approval is worth: of the amount, and fixed minor units
    reasons: list[tuple[float, Why]]  # shares added up
    shares: dict[Why, float]
    conditions: list[Condition]
    paydays: list[int]
    offset: int
    mu: float


class Issuers:
    """`ask` is the only place where luck meets probability; `approval` and `failing` are what the oracle may read."""

    def __init__(self, world: World, seed: int, gate: Callable[[], Gate]) -> None:
        self.world = world
        self.names = [a.name for a in world.accounts]
        self.start = moment(world.start)
        self.key = mixed(mixed(0, seed), 1)
        self.rules = Rules(gate, world.currency, self.start)
        self.fees = [float(Decimal(a.cost.attempt_minor)) for a in world.accounts]
        self.speed = [
            (math.log(a.seconds.median), math.log(a.seconds.slow / a.seconds.median) / Z99) for a in world.accounts
        ]
        self.kinds = [self.compiled(s) for s in world.segments]
        self.weights = list(accumulate(s.weight for s in world.segments))
        self.outages = [(self.start + duration(o.since), self.start + duration(o.until), o) for o in world.outages]
        self.lines = {id(d): (self.start + duration(d.since), self.start + duration(d.until)) for d in world.drifts}
        self.peaks = {id(d): hour_of_day(d.peak) for d in world.drifts}

    def compiled(self, s: Segment) -> Kind:
        b, offset = self.world.behaviors[s.behavior], zone(s.zone)
        shares = list(accumulate(r.share for r in b.declines))
        return Kind(
            segment=s,
            behavior=b,
            base=[s.approval[a] for a in self.names],
            drifts=[
                [d for d in self.world.drifts if a in (d.accounts or (a,)) and s.name in (d.segments or (s.name,))]
                for a in self.names
            ],
            value=[
                (
                    (self.world.margin_bps - a.cost.approved_bps - s.extra_bps.get(a.name, 0.0)) / 10_000,
                    -float(Decimal(a.cost.approved_minor)),
                )
                for a in self.world.accounts
            ],
            reasons=[(share, worded(r, s.brand)) for share, r in zip(shares, b.declines, strict=True)],
            shares={worded(r, s.brand): r.share for r in b.declines},
            conditions=[Condition(worded(t, s.brand), t.share, t.lasts, t.early, t.again) for t in b.troubles],
            paydays=paydays(self.start - 40 * DAY, self.start + HORIZON, b.paydays, offset),
            offset=offset,
            mu=math.log(b.amount.median),
        )  # fmt: skip

    # The stream of payments.

    def after(self, previous: Payment | None) -> Payment:
        """The next payment of the stream: what it is depends on its number alone, and on the seed."""
        number = 0 if previous is None else previous.number + 1
        key = mixed(self.key, number)
        at = self.start if previous is None else previous.at
        place = draw(key, WHICH) * self.weights[-1]
        kind = self.kinds[segment := min(bisect_right(self.weights, place), len(self.kinds) - 1)]
        card = int(draw(key, CARD) * kind.segment.cards)
        renewal = draw(key, RENEWAL) < kind.behavior.renewals
        amount = kind.behavior.amount
        # A subscription costs the same every time.
        luck = mixed(self.key, -2 - card * len(self.kinds) - segment) if renewal else key
        minor = round(math.exp(kind.mu + amount.spread * normal(luck, AMOUNT)))
        minor = max(amount.least, min(amount.most, minor))
        at += round(waiting(key, ARRIVAL, self.world.rate) * SECOND)
        return Payment(number, key, at, segment, card, minor, renewal)

    def facts(self, p: Payment, at: int) -> Facts:
        s = self.kinds[p.segment].segment
        return Facts(
            merchant="trial", currency=self.world.currency, minor=p.minor, at=at, country=s.country, brand=s.brand,
            iin=s.iins[p.card % len(s.iins)], issuer=s.issuer, funding=s.funding, product=s.product,
            initiator="merchant" if p.renewal else "customer", purpose="subscription" if p.renewal else "",
            instrument=f"{s.name}:{p.card}",
        )  # fmt: skip

    # Probabilities.

    def approval(self, segment: int, at: int) -> list[float]:
        """For each account: how likely a card that can pay is approved at this moment."""
        kind = self.kinds[segment]
        found = [
            base if not drifts else min(MOST, max(LEAST, base + sum(self.moved(d, at) for d in drifts)))
            for base, drifts in zip(kind.base, kind.drifts, strict=True)
        ]
        for since, until, o in self.outages:
            if since <= at < until and o.account and o.kind == "declines" and touches(o, kind.segment):
                found[self.names.index(o.account)] *= 1 - o.share
        return found

    def moved(self, d: Drift, at: int) -> float:
        if d.kind == "daily":
            return d.points * POINTS * math.cos((at - self.peaks[id(d)]) % DAY / DAY * math.tau)
        since, until = self.lines[id(d)]
        return d.points * POINTS * min(1.0, max(0.0, (at - since) / (until - since)))

    def failing(self, segment: int, at: int) -> tuple[list[tuple[int, Outage]], Outage | None]:
        """The accounts whose PSP fails this segment now, and the failure of its issuer."""
        if not self.outages:
            return [], None
        s = self.kinds[segment].segment
        now = [o for since, until, o in self.outages if since <= at < until and touches(o, s)]
        technical = [(self.names.index(o.account), o) for o in now if o.account and o.kind != "declines"]
        return technical, next((o for o in now if not o.account), None)

    # Answers.

    def ask(self, p: Payment, account: int, at: int, round_: int) -> Heard:
        """What is heard of an attempt.

        Within one round the luck stays: asked again, the same account gives the same answer. Of an issuer that
        agrees with itself it stays for ever.
        """
        kind = self.kinds[p.segment]
        key = mixed(p.key, 1000 + round_)
        own = mixed(key, 100 + account)
        mu, sigma = self.speed[account]
        seconds = math.exp(mu + sigma * normal(own, SPEED))
        technical, issuer = self.failing(p.segment, at)
        for place, o in technical:
            if place == account and draw(own, TECHNICAL) < o.share:
                return Heard("technical" if o.kind == "refused" else "late", failing_seconds(o, seconds))
        if issuer is not None and draw(key, FAILS) < issuer.share:
            why = Why(Decline(issuer.decline), issuer.network_code or None, None)
            return declined(why, seconds)
        for n, c in enumerate(kind.conditions):
            if self.in_trouble(p, n, c, kind, at):
                return declined(c.why, seconds)
        luck = draw(p.key, COMMON) if draw(p.key, AGREES) < kind.behavior.agree else draw(own, OWN)
        if luck < self.approval(p.segment, at)[account]:
            return Heard("approved", seconds)
        place = draw(key, WHY)
        return declined(next((why for share, why in kind.reasons if place < share), kind.reasons[-1][1]), seconds)

    def in_trouble(self, p: Payment, n: int, c: Condition, kind: Kind, at: int) -> bool:
        """Is the card in this condition now? It is the card's luck, not the payment's."""
        card = mixed(mixed(self.key, -1 - p.segment), p.card * 16 + n)
        if c.lasts == "forever":
            return draw(card, TYPE) < c.share
        if c.again == 0 or draw(card, TYPE) >= c.share / c.again:
            return False
        number, since, until = period(c, kind, at)
        if draw(card, LACKS + 16 * number) >= c.again:
            return False
        ends = draw(card, ENDS + 16 * number)
        return ends >= c.early or at < since + (until - since) * ends / c.early


def period(c: Condition, kind: Kind, at: int) -> tuple[int, int, int]:
    """The day or the time between paydays in which `at` is: its number, since and until."""
    if c.lasts == "day":
        number = (at + kind.offset) // DAY
        return number, number * DAY - kind.offset, (number + 1) * DAY - kind.offset
    place = min(max(1, bisect_right(kind.paydays, at)), len(kind.paydays) - 1)
    return place, kind.paydays[place - 1], kind.paydays[place]


def touches(o: Outage, s: Segment) -> bool:
    return not o.segments or s.name in o.segments


def failing_seconds(o: Outage, usual: float) -> float:
    return o.seconds if o.kind == "silent" else usual


def worded(reason: Reason | Trouble, brand: str) -> Why:
    advice = reason.advice_code if brand == "mastercard" else ""
    return Why(Decline(reason.decline), reason.network_code or None, advice or None)


def declined(why: Why, seconds: float) -> Heard:
    return Heard("declined", seconds, why.decline, why.network_code, why.advice_code)
