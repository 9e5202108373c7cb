"""Contract limits and commitments: what an account may take in a period at most, and should at least. Pure."""

from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct

from scrooge.money import Money
from scrooge.routing.facts import Facts
from scrooge.routing.policy.document import Volume

URGENT = 0.1  # part of a commitment: who is so far behind steers as much as the shortfall costs


class Used(Struct, frozen=True):
    """What the period has seen so far, in minor units, and how much of the period is over, from 0 to 1."""

    minor: int
    elapsed: float


Usage = Mapping[tuple[str, str, str], Used]  # by account's name, currency and period


class Bound(Struct, frozen=True):
    """A line of the document in minor units, for one account and currency."""

    period: str
    least: int | None
    most: int | None
    shortfall: float  # part of the missing amount


def bounds(volumes: tuple[Volume, ...]) -> dict[tuple[str, str], tuple[Bound, ...]]:
    """By account and currency. Raises Problem for amounts that are none."""
    found: dict[tuple[str, str], tuple[Bound, ...]] = {}
    for v in volumes:
        least, most = (None if text is None else Money.parse(text, v.currency).minor for text in (v.least, v.most))
        key = v.account, v.currency
        found[key] = (*found.get(key, ()), Bound(v.period, least, most, float(Fraction(v.shortfall) / 100)))
    return found


def used_up(known: tuple[Bound, ...], name: str, facts: Facts, usage: Usage) -> str | None:
    """Why a contract's limit leaves no room for this payment."""
    for bound in known:
        used = usage.get((name, facts.currency, bound.period))
        if bound.most is not None and used is not None and used.minor + facts.minor > bound.most:
            return f"its contract's limit for the {bound.period} is reached"
    return None


def steering(known: tuple[Bound, ...], name: str, facts: Facts, usage: Usage) -> float:
    """What this payment is worth toward the commitments that are behind, in minor units."""
    worth = 0.0
    for bound in known:
        used = usage.get((name, facts.currency, bound.period))
        if bound.least and used is not None:
            behind = used.elapsed - used.minor / bound.least
            worth += bound.shortfall * facts.minor * max(0.0, min(1.0, behind / URGENT))
    return worth
