"""Whose failures are these: the account's, those of a segment at the account, or an issuer's at every account? Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

Key = tuple[str, ...]
EVERYTHING: Key = ()
ENOUGH = 5  # outcomes without which one cannot say how another part fares
MANY = 20  # outcomes that say how payments are spread over segments
CHANCE = 0.05  # what is rarer is taken for no accident
ELSEWHERE = 1 / 3  # a part that fails less than this much as often as another is well beside it
ALIKE = 1 / 2  # an account that fails at least this much as often as another fails like it


class Signal(StrEnum):
    TECHNICAL = "technical"
    APPROVALS = "approvals"


class Trail(Struct, frozen=True):
    """One payment's account and the segments that it is in, from the widest to the narrowest."""

    account: str
    keys: tuple[Key, ...]


class Witness(Struct, frozen=True):
    """One outcome, and how likely it was to fail."""

    account: str
    keys: tuple[Key, ...]
    failed: bool
    usual: float
    at: int


def excess(witnesses: Iterable[Witness], which: Callable[[Witness], bool]) -> tuple[int, float]:
    """How many there are, and how much more often they fail than usual."""
    found = [w for w in witnesses if which(w)]
    return len(found), sum(w.failed - w.usual for w in found) / max(1, len(found))


def blame(trail: Trail, before: Collection[Witness], since: int) -> tuple[str, Key]:
    """The widest segment of the account that fails as a whole; of nobody ("") when it fails at all other accounts too.

    `since` is when the failures began; what was before says how payments are spread. Of two accounts that fail together
    each is to blame as long as a third is well: there is somewhere to go. When nobody else has had such payments one
    cannot tell, and the account is blamed: trying elsewhere will show.
    """
    witnesses = [w for w in before if w.at >= since]
    key = widest(trail, [w for w in before if w.account == trail.account], since)
    here = excess(witnesses, lambda w: w.account == trail.account and key in w.keys)[1]
    rates = []
    for other in sorted({w.account for w in witnesses} - {trail.account}):
        count, rate = excess(witnesses, lambda w, other=other: w.account == other and key in w.keys)
        if count >= ENOUGH:
            rates.append(rate)
    everybody = bool(rates) and all(rate >= ALIKE * here for rate in rates)
    return ("" if everybody else trail.account), key


def widest(trail: Trail, own: Sequence[Witness], since: int) -> Key:
    """A segment explains the failures unless they are all in a part of it, and the rest of it is well."""
    for place, key in enumerate(trail.keys):
        inside = [w for w in own if key in w.keys]
        if not any(apart(inside, part, since) for part in trail.keys[place + 1 :]):
            return key
    return trail.keys[-1]


def apart(inside: Sequence[Witness], part: Key, since: int) -> bool:
    """Whether a part fails by itself: the rest is seen to be well, or chance would not put so many failures there."""
    lately = [w for w in inside if w.at >= since]
    count, rate = excess(lately, lambda w: part not in w.keys)
    if count >= ENOUGH and rate < ELSEWHERE * excess(lately, lambda w: part in w.keys)[1]:
        return True
    share = sum(part in w.keys for w in inside) / max(1, len(inside))
    failures = [part in w.keys for w in lately if w.failed]
    return all(failures) and len(inside) >= MANY and share ** len(failures) < CHANCE
