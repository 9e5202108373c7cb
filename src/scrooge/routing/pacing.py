"""How fast a batch may go: so many payments a second in all, at an account, and for the cards of one BIN. Pure.

Whoever wants to go is told when its turn is, and keeps that turn: nobody asks twice, and nobody passes anybody.
"""

from collections import OrderedDict
from collections.abc import Mapping

from msgspec import Struct

BURST_SECONDS = 0.25  # what was not used of late may be caught up with, but no more
BINS_MOST = 20_000


class Turns:
    """Of one thing that is paced: `rate` a second. Moments are seconds of one monotonic clock."""

    __slots__ = ("next_at", "rate")

    def __init__(self, rate: float) -> None:
        self.rate, self.next_at = rate, 0.0

    def take(self, now: float) -> float:
        """When this one's turn is: now, or later."""
        at = max(self.next_at, now - BURST_SECONDS)
        self.next_at = at + 1 / self.rate
        return max(at, now)

    def retune(self, rate: float, now: float) -> None:
        """Another rate: those who wait for their turn under the old one keep it."""
        if rate != self.rate:
            ahead = max(0.0, self.next_at - now) * self.rate  # turns that were given and have not come
            self.rate, self.next_at = rate, now + min(max(0.0, self.next_at - now), ahead / rate)


class Pacing(Struct, frozen=True, kw_only=True):
    """Payments a second at most; None, and an account that is not named: as fast as may be."""

    in_all: float | None = None
    of_account: Mapping[str, float] = {}
    of_bin: float | None = None


class Pacer:
    """One worker's part of what a batch may do: an equal one with each of the workers that are at it."""

    def __init__(self, pacing: Pacing, workers: int = 1) -> None:
        self.pacing, self.workers = pacing, max(1, workers)
        self.all = Turns(pacing.in_all / self.workers) if pacing.in_all else None
        self.accounts: dict[str, Turns] = {}
        self.bins: OrderedDict[str, Turns] = OrderedDict()

    def shared(self, workers: int, now: float) -> None:
        """So many workers are at it now."""
        workers = max(1, workers)
        if workers == self.workers:
            return
        self.workers = workers
        if self.all is not None and self.pacing.in_all:
            self.all.retune(self.pacing.in_all / workers, now)
        for account, turns in self.accounts.items():
            turns.retune(self.pacing.of_account[account] / workers, now)
        for turns in self.bins.values():
            turns.retune((self.pacing.of_bin or 1.0) / workers, now)

    def next(self, now: float) -> float:
        """When the next line of the batch may be begun."""
        return now if self.all is None else self.all.take(now)

    def turn(self, account: str, iin: str | None, now: float) -> float:
        """When a payment with a card of this BIN may go to this account."""
        at = now
        rate = self.pacing.of_account.get(account)
        if rate is not None:
            turns = self.accounts.get(account)
            if turns is None:
                turns = self.accounts[account] = Turns(rate / self.workers)
            at = max(at, turns.take(now))
        if self.pacing.of_bin is not None and iin:
            at = max(at, self.of_bin(iin, self.pacing.of_bin).take(now))
        return at

    def of_bin(self, iin: str, rate: float) -> Turns:
        found = self.bins.get(iin)
        if found is None:
            found = self.bins[iin] = Turns(rate / self.workers)
        self.bins.move_to_end(iin)
        if len(self.bins) > BINS_MOST:
            self.bins.popitem(last=False)
        return found


def left_until(lines: int, rate: float, now: int) -> int | None:
    """When so many lines will have been sent, at so many a second, in Unix microseconds; None: nobody can tell yet."""
    return None if rate <= 0 else now + int(lines / rate * 1_000_000)
