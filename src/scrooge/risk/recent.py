"""Tallies of the last day in memory, bounded, and the sightings that processes tell each other. Pure.

Attempts are kept by the minute. Facts are kept as digests, so that no address and no customer's name lies around. When
there are too many values, those that were not seen for longest are forgotten; of one value no more than `CARDS_MOST`
different cards are told apart, which is more than any rule asks.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from msgspec import Struct

from scrooge.risk.check import Ask, Suspect, Tally

MINUTE = 60_000_000
DAY = 1440
CARDS_MOST = 1001
VALUES_MOST = 50_000
FACTS = ("card", "customer", "iin", "ip", "email", "country", "merchant")


class Sighting(Struct, frozen=True, array_like=True):
    """Attempts and declines in a minute, of these facts: digests by name. Small, since each payment makes one."""

    minute: int
    attempts: int
    declines: int
    facts: dict[str, str]


class Seen:
    """Of one value: [attempts, declines] by minute, and the last minute of each card."""

    __slots__ = ("cards", "minutes")

    def __init__(self) -> None:
        self.minutes: dict[int, list[int]] = {}
        self.cards: dict[str, int] = {}


class Recent:
    """Of every merchant, fact and value: what happened in each of the last 1440 minutes."""

    def __init__(self, most: int = VALUES_MOST) -> None:
        self.most = most
        self.seen: OrderedDict[str, Seen] = OrderedDict()

    def add(self, suspect: Suspect) -> Sighting:
        """An attempt is made."""
        return self.put(sighting(suspect, 1, 0))

    def declined(self, suspect: Suspect) -> Sighting:
        """An attempt that was added has been declined; `suspect` as it was then."""
        return self.put(sighting(suspect, 0, 1))

    def put(self, told: Sighting) -> Sighting:
        card = told.facts.get("card")
        for key in told.facts.values():
            seen = self.seen.get(key)
            if seen is None:
                seen = self.seen[key] = Seen()
                if len(self.seen) > self.most:
                    self.seen.popitem(last=False)
            self.seen.move_to_end(key)
            counted(seen, told, card)
        return told

    def tallies(self, asked: Iterable[Ask], suspect: Suspect) -> Mapping[Ask, Tally]:
        return {ask: self.tally(ask, suspect) for ask in asked}

    def tally(self, ask: Ask, suspect: Suspect) -> Tally:
        seen = self.seen.get(digest(ask.merchant, ask.of, ask.value))
        if seen is None:
            return Tally()
        since = suspect.at // MINUTE - ask.minutes
        rows = [row for minute, row in seen.minutes.items() if minute > since]
        own = digest(suspect.merchant, "card", suspect.card)
        others = sum(last > since for card, last in seen.cards.items() if card != own)
        return Tally(max(0, sum(row[0] for row in rows)), max(0, sum(row[1] for row in rows)), others)


def counted(seen: Seen, told: Sighting, card: str | None) -> None:
    row = seen.minutes.get(told.minute)
    if row is None:
        row = seen.minutes[told.minute] = [0, 0]
        newest = max(seen.minutes)
        for old in [m for m in seen.minutes if m <= newest - DAY]:
            del seen.minutes[old]
    row[0] += told.attempts
    row[1] += told.declines
    if card is not None and told.attempts > 0:
        last = max(told.minute, seen.cards.pop(card, told.minute))
        seen.cards[card] = last
        if len(seen.cards) > CARDS_MOST:
            del seen.cards[next(iter(seen.cards))]


def sighting(suspect: Suspect, attempts: int, declines: int) -> Sighting:
    known = {name: value for name in FACTS if (value := getattr(suspect, name))}
    facts = {name: digest(suspect.merchant, name, value) for name, value in known.items()}
    return Sighting(suspect.at // MINUTE, attempts, declines, facts)


def digest(merchant: str, name: str, value: str) -> str:
    return blake2b("\0".join((merchant, name, value)).encode(), digest_size=12).hexdigest()
