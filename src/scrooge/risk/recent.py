"""Tallies of the last day in memory, bounded: for the trial, for tests, and for one process without a database.

Attempts are kept by the minute. What is a minute too old is gone; of one value no more than `KEPT` different cards are
told apart in a minute, which is far beyond what any rule asks.
"""

from collections.abc import Iterable, Mapping

from scrooge.risk.check import Ask, Suspect, Tally

MINUTE = 60_000_000
DAY = 1440
KEPT = 1000
FACTS = ("card", "customer", "iin", "ip", "email", "country", "merchant")
Minutes = dict[int, tuple[int, int, frozenset[str]]]  # attempts, declines, cards


class Recent:
    """Of every merchant, fact and value: what happened in each of the last 1440 minutes."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str, str], Minutes] = {}

    def add(self, suspect: Suspect) -> None:
        """An attempt is made."""
        self.put(suspect, 1, 0)

    def declined(self, suspect: Suspect) -> None:
        """An attempt that was added has been declined; `suspect` as it was then."""
        self.put(suspect, 0, 1)

    def put(self, suspect: Suspect, attempts: int, declines: int) -> None:
        now = suspect.at // MINUTE
        for name in FACTS:
            if not (value := getattr(suspect, name)):
                continue
            minutes = self.seen.setdefault((suspect.merchant, name, value), {})
            a, d, cards = minutes.get(now, (0, 0, frozenset()))
            if suspect.card and len(cards) < KEPT:
                cards |= {suspect.card}
            minutes[now] = (a + attempts, d + declines, cards)
            for old in [m for m in minutes if m < now - DAY]:
                del minutes[old]

    def tallies(self, asked: Iterable[Ask], suspect: Suspect) -> Mapping[Ask, Tally]:
        return {ask: self.tally(ask, suspect) for ask in asked}

    def tally(self, ask: Ask, suspect: Suspect) -> Tally:
        since = suspect.at // MINUTE - ask.minutes
        kept = self.seen.get((ask.merchant, ask.of, ask.value), {})
        rows = [row for minute, row in kept.items() if minute > since]
        cards = frozenset[str]().union(*(row[2] for row in rows)) - {suspect.card}
        return Tally(sum(row[0] for row in rows), sum(row[1] for row in rows), len(cards))
