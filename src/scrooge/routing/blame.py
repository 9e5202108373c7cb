"""Whose failures are these: the account's, those of a segment at the account, or an issuer's at every account? Pure."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

Key = tuple[str, ...]
EVERYTHING: Key = ()
ENOUGH = 5  # outcomes without which one cannot say how another part fares
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


def blame(trail: Trail, witnesses: Sequence[Witness]) -> tuple[str, Key]:
    """The widest segment of the account that fails as a whole; of nobody ("") when it fails at all other accounts too.

    Of two accounts that fail together each is to blame as long as a third is well: there is somewhere to go. When
    nobody else has had such payments one cannot tell, and the account is blamed: trying elsewhere will show.
    """
    key = widest(trail, [w for w in witnesses if w.account == trail.account])
    here = excess(witnesses, lambda w: w.account == trail.account and key in w.keys)[1]
    rates = []
    for other in sorted({w.account for w in witnesses} - {trail.account}):
        count, rate = excess(witnesses, lambda w, other=other: w.account == other and key in w.keys)
        if count >= ENOUGH:
            rates.append(rate)
    everybody = bool(rates) and all(rate >= ALIKE * here for rate in rates)
    return ("" if everybody else trail.account), key


def widest(trail: Trail, own: Sequence[Witness]) -> Key:
    """A segment explains the failures unless they are all in a part of it, and the rest of it is well."""
    for place, key in enumerate(trail.keys):
        inside = [w for w in own if key in w.keys]
        for part in trail.keys[place + 1 :]:
            count, rate = excess(inside, lambda w, part=part: part not in w.keys)
            if count >= ENOUGH and rate < ELSEWHERE * excess(inside, lambda w, part=part: part in w.keys)[1]:
                break
        else:
            return key
    return trail.keys[-1]
