"""How fast shares of the payments may move between accounts: no account is given much more than it had lately. Pure."""

import math
from collections.abc import Sequence

from msgspec import Struct

MINUTE = 60 * 1_000_000
WARM = 2000  # decisions before which there is no share to change
RECENT = 6.0  # a minute over the time in which "now" forgets
LEAST = 0.01  # of what is wanted: nobody's probability becomes nothing
SLOWEST = 0.01  # a decision counts for at most this much of what is "now"


class Share(Struct):
    """`now` follows what is decided; `base` follows `now` no faster than is allowed."""

    now: float = 0.0
    base: float = 0.0


class Shares:
    """Of one process. Mutable; `note` it after every decision."""

    def __init__(self) -> None:
        self.shares: dict[str, Share] = {}
        self.count = 0
        self.at = 0

    def limited(self, accounts: Sequence[str], wanted: list[float], step: float) -> list[float]:
        """What may be had of what is wanted: what is too much for one goes to the others in proportion."""
        if self.count < WARM or len(accounts) < 2:
            return wanted
        known = [self.shares.get(a) or Share() for a in accounts]
        now, base = sum(s.now for s in known) or 1.0, sum(s.base for s in known) or 1.0
        band = step / 4
        parts = [(s.base / base + step + band - s.now / now) / (2 * band) for s in known]
        parts = [max(LEAST, min(1.0, part)) for part in parts]
        if all(part >= 1.0 for part in parts):
            return wanted
        given = [share * part for share, part in zip(wanted, parts, strict=True)]
        spare = 1.0 - sum(given)
        # Those that are not at their limit take the rest, by what they want and by what they are used to.
        room = [w + s.base if part >= 1.0 else 0.0 for w, s, part in zip(wanted, known, parts, strict=True)]
        total = sum(room)
        if total <= 0.0:
            return wanted
        return [g + spare * r / total for g, r in zip(given, room, strict=True)]

    def note(self, accounts: Sequence[str], shares: Sequence[float], step: float, at: int) -> None:
        """A decision was made with these probabilities."""
        passed = max(0, at - self.at) / MINUTE if self.count else 0.0
        self.at = max(self.at, at)
        self.count += 1
        pace = max(1.0 / self.count, min(SLOWEST, 1.0 - math.exp(-RECENT * passed)))
        given = dict(zip(accounts, shares, strict=True))
        for account in given.keys() - self.shares.keys():
            self.shares[account] = Share()
        reach = 1.0 if self.count < WARM else step * passed
        for account, share in self.shares.items():
            share.now += pace * (given.get(account, 0.0) - share.now)
            share.base += max(-reach, min(reach, share.now - share.base))
