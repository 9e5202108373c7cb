"""A world file read: types, and then what must hold between its parts. Each refusal names the place and the rule."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise

import msgspec

from scrooge.cards import brand_of
from scrooge.domain.declines import Advice
from scrooge.routing.facts import COUNTRIES, CURRENCIES
from scrooge.routing.trial.calendar import duration, hour_of_day, moment, zone
from scrooge.routing.trial.world import Behavior, Segment, World, reason_of

ACCOUNTS_MAX, SEGMENTS_MAX = 20, 2000
Found = Iterator[tuple[str, str]]


class WorldRefused(ValueError):
    """A world that breaks the format; the text says where and which rule."""

    def __init__(self, found: Iterable[tuple[str, str]]) -> None:
        self.places = tuple(found)
        super().__init__("\n".join(f"{place}: {rule}" for place, rule in self.places))


def read(text: str) -> World:
    """A world from TOML. Raises WorldRefused with every place that is wrong."""
    try:
        world = msgspec.convert(tomllib.loads(text), World)
    except tomllib.TOMLDecodeError as error:
        raise WorldRefused([("file", f"is no TOML: {error}")]) from None
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$")
        raise WorldRefused([(place.rstrip("`").lstrip(".") or "file", rule)]) from None
    if found := list(check(world)):
        raise WorldRefused(found)
    return world


def check(world: World) -> Found:
    """Every place where a rule of the format is broken."""
    yield from numbers(world)
    yield from moments(world)
    names = [a.name for a in world.accounts]
    if not 1 <= len(names) <= ACCOUNTS_MAX:
        yield "accounts", f"takes 1 to {ACCOUNTS_MAX}"
    if not 1 <= len(world.segments) <= SEGMENTS_MAX:
        yield "segments", f"takes 1 to {SEGMENTS_MAX}"
    for what, found in (("accounts", names), ("segments", [s.name for s in world.segments])):
        yield from ((what, f'"{a}" is there twice') for a, b in pairwise(sorted(found)) if a == b)
    for name, behavior in world.behaviors.items():
        yield from behaves(f"behaviors.{name}", behavior)
    for segment in world.segments:
        yield from belongs(f"segments.{segment.name}", segment, world, names)
    yield from references(world, names)


def within(place: str, value: float, low: float, high: float) -> Found:
    if not low <= value <= high:  # also what is not a number
        yield place, f"is {value:g}; takes {low:g} to {high:g}"


def numbers(world: World) -> Found:
    if world.currency not in CURRENCIES:
        yield "currency", f'"{world.currency}" is no currency of ISO 4217'
    yield from within("rate", world.rate, 0.001, 10_000)
    yield from within("margin_bps", world.margin_bps, 1, 10_000)
    yield from within("renewals.rounds", world.renewals.rounds, 1, 10)
    for n, a in enumerate(world.accounts):
        place = f"accounts[{n}]"
        yield from within(f"{place}.cost.approved_bps", a.cost.approved_bps, 0, 10_000)
        yield from within(f"{place}.seconds.median", a.seconds.median, 0.001, 60)
        yield from within(f"{place}.seconds.slow", a.seconds.slow, a.seconds.median, 120)
        for name in ("approved_minor", "attempt_minor"):
            try:
                yield from within(f"{place}.cost.{name}", float(Decimal(getattr(a.cost, name))), 0, 1_000_000)
            except InvalidOperation:
                yield f"{place}.cost.{name}", 'is no decimal number like "12.5"'
    for n, o in enumerate(world.outages):
        yield from within(f"outages[{n}].share", o.share, 0, 1)
        yield from within(f"outages[{n}].seconds", o.seconds, 0.1, 300)
    for n, d in enumerate(world.drifts):
        yield from within(f"drifts[{n}].points", d.points, -100, 100)


def moments(world: World) -> Found:
    yield from reads("start", moment, world.start)
    yield from reads("renewals.within", duration, world.renewals.within)
    for n, part in enumerate(world.drifts):
        yield from reads(f"drifts[{n}].peak", hour_of_day, part.peak)
        yield from period(f"drifts[{n}]", part.since, part.until, part.kind == "line")
    for n, outage in enumerate(world.outages):
        yield from period(f"outages[{n}]", outage.since, outage.until, True)


def period(place: str, since: str, until: str, needed: bool) -> Found:
    wrong = [*reads(f"{place}.since", duration, since), *reads(f"{place}.until", duration, until)]
    yield from wrong
    if not wrong and needed and duration(since) >= duration(until):
        yield f"{place}.until", "has to be after since"


def reads(place: str, how: Callable[[str], object], text: str) -> Found:
    try:
        how(text)
    except ValueError as error:
        yield place, str(error)


def behaves(place: str, b: Behavior) -> Found:
    yield from within(f"{place}.renewals", b.renewals, 0, 1)
    yield from within(f"{place}.agree", b.agree, 0, 1)
    yield from within(f"{place}.amount.spread", b.amount.spread, 0, 3)
    if not 1 <= b.amount.least <= b.amount.median <= b.amount.most <= 10**12:
        yield f"{place}.amount", "needs 1 <= least <= median <= most <= 10^12"
    if not b.paydays or not all(1 <= day <= 28 for day in b.paydays):
        yield f"{place}.paydays", "takes days of the month from 1 to 28, at least one"
    for n, reason in enumerate((*b.declines, *b.troubles)):
        many = len(b.declines)
        spot = f"{place}.declines[{n}]" if n < many else f"{place}.troubles[{n - many}]"
        yield from within(f"{spot}.share", reason.share, 0, 1)
        yield from reads(f"{spot}.decline", reason_of, reason.decline)
    if abs(sum(r.share for r in b.declines) - 1) > 1e-6:
        yield f"{place}.declines", "shares have to add up to 1"
    if sum(t.share for t in b.troubles) > 0.9:
        yield f"{place}.troubles", "leave no card that can pay: shares have to stay below 0.9"
    own = {r.decline for r in b.declines}
    for n, t in enumerate(b.troubles):
        yield from within(f"{place}.troubles[{n}].early", t.early, 0, 1)
        yield from within(f"{place}.troubles[{n}].again", t.again, 0, 1)
        if t.lasts != "forever" and t.decline in own:
            yield f"{place}.troubles[{n}]", f'"{t.decline}" passes, so it cannot be a reason of declines too'
        if t.lasts != "forever" and t.share > t.again:
            yield f"{place}.troubles[{n}].again", "cannot be less than share: cards that had it are those that get it"
    for side, listed in (("declines", b.declines), ("troubles", b.troubles)):
        reasons = sorted(r.decline for r in listed)
        yield from ((f"{place}.{side}", f'"{a}" is there twice') for a, b in pairwise(reasons) if a == b)


def belongs(place: str, s: Segment, world: World, names: list[str]) -> Found:
    yield from within(f"{place}.weight", s.weight, 1e-6, 1e6)
    yield from within(f"{place}.cards", s.cards, 1, 10**9)
    yield from reads(f"{place}.zone", zone, s.zone)
    if s.behavior not in world.behaviors:
        yield f"{place}.behavior", f'there is no behavior "{s.behavior}"'
    if s.country not in COUNTRIES:
        yield f"{place}.country", f'"{s.country}" is no country of ISO 3166-1'
    if not s.iins:
        yield f"{place}.iins", "needs one at least"
    for iin in s.iins:
        if not (iin.isascii() and iin.isdigit() and len(iin) in {6, 8}):
            yield f"{place}.iins", f'"{iin}" is not of 6 or 8 digits'
        elif brand_of(iin) != s.brand:
            yield f"{place}.iins", f'"{iin}" is no {s.brand} number'
    for account in names:
        if account not in s.approval:
            yield f"{place}.approval", f'says nothing of account "{account}"'
    for side, listed, low, high in (("approval", s.approval, 0.0, 1.0), ("extra_bps", s.extra_bps, -10_000, 10_000)):
        for account, value in listed.items():
            if account not in names:
                yield f"{place}.{side}", f'there is no account "{account}"'
            yield from within(f"{place}.{side}.{account}", value, low, high)


def references(world: World, names: list[str]) -> Found:
    segments = {s.name for s in world.segments}
    for n, d in enumerate(world.drifts):
        yield from ((f"drifts[{n}].accounts", f'there is no account "{a}"') for a in d.accounts if a not in names)
        yield from ((f"drifts[{n}].segments", f'there is no segment "{s}"') for s in d.segments if s not in segments)
    for n, o in enumerate(world.outages):
        place = f"outages[{n}]"
        yield from ((f"{place}.segments", f'there is no segment "{s}"') for s in o.segments if s not in segments)
        if o.account and o.account not in names:
            yield f"{place}.account", f'there is no account "{o.account}"'
        if not o.account and o.kind != "declines":
            yield f"{place}.kind", "without an account the issuers fail, and issuers decline"
        wrong = list(reads(f"{place}.decline", reason_of, o.decline))
        yield from wrong
        if not wrong and not o.account and reason_of(o.decline).advice in {Advice.STOP, Advice.NEW_DETAILS}:
            yield f"{place}.decline", "an issuer that fails says nothing final about a card"
