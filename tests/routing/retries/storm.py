"""Callers who know no rule, against the schemes' limits: few cards, every answer, all hours, many attempts at once.

`python -m tests.routing.retries.storm --attempts 10000000`. Each attempt that the limits let out is judged by the trial's
umpire, which shares no code with them. What they refuse comes again, often at the very moment from which they allow it,
or a second before. Beside them runs the same storm for a moment without limits: there the umpire has to object.
"""

import argparse
import heapq
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import structs

from scrooge.domain.declines import Decline
from scrooge.routing.facts import Facts
from scrooge.routing.trial.calendar import DAY, HOUR, SECOND
from scrooge.routing.trial.enforced import Enforced
from scrooge.routing.trial.rules import Bar, Card, Gate
from scrooge.routing.trial.strategy import Heard
from scrooge.routing.trial.umpire import Seen, Umpire

BRANDS = ("visa", "mastercard", "visa", "mastercard", "amex")
MINORS = (999, 1099, 1299)
NETWORK = (*["05", "51", "91", "57", "59", "61", "65"] * 3, "04", "07", "14", "41", "43", "46", "54", "R0", "R1", None)
ADVICE = (*[None] * 20, "01", "02", "03", "04", "21", "24", "25", "26", "27", "28", "29", "30", "40")
ENDS = ("declined",) * 7 + ("approved",) * 2 + ("technical",)
DURATIONS = (SECOND // 5, SECOND, 3 * SECOND, 40 * SECOND, HOUR, 2 * DAY)
WEIGHTS = (40, 30, 20, 5, 3, 2)
GAPS = (SECOND, 30 * SECOND, 10 * 60 * SECOND, 2 * HOUR)  # between two attempts at any card of a season, on average
ASKS, CARDS = 2_000, 64  # in a season
BEGIN = 1_772_323_200 * SECOND  # 2026-03-01


class Open:
    """Nobody enforces anything."""

    def admits(self, facts: Facts, card: Card) -> Bar | None:
        return None

    def concludes(self, facts: Facts, card: Card, sent_at: int, heard: Heard) -> None: ...


class Storm:
    """Season after season, each with cards of its own, its own pace and a gate that knows nothing yet."""

    def __init__(self, gate: Callable[[], Gate], seed: int) -> None:
        self.fresh, self.chance = gate, random.Random(seed)
        self.told, self.violations = Counter[str](), Counter[str]()
        self.heard: list[tuple[int, int, Facts, Card, Seen, Heard]] = []
        self.again: list[tuple[int, int, Facts, Card]] = []
        self.at, self.counted = BEGIN, 0

    def blow(self, attempts: int) -> None:
        """Until so many were let out."""
        while self.told["attempts"] < attempts:
            self.gate, self.umpire = self.fresh(), Umpire()
            self.season(self.chance.choice(GAPS))
            self.told["seasons"] += 1
            self.violations += self.umpire.violations

    def season(self, gap: int) -> None:
        began = self.at
        for _ in range(ASKS):
            self.at += round(self.chance.expovariate(1.0) * gap)
            while self.again and self.again[0][0] <= self.at:
                at, _, facts, card = heapq.heappop(self.again)
                self.hear(at)
                self.ask(structs.replace(facts, at=at), card)
            self.hear(self.at)
            card = (0, int(CARDS * self.chance.random() ** 2))  # Some cards are asked about far more often.
            who = "customer" if self.chance.random() < 0.3 else "merchant"
            minor, brand = self.chance.choice(MINORS), BRANDS[card[1] % len(BRANDS)]
            self.ask(Facts(merchant="storm", currency="EUR", minor=minor, brand=brand, initiator=who, at=self.at), card)
        self.again.clear()
        self.hear(1 << 62)
        self.told["days"] += (self.at - began) // DAY

    def ask(self, facts: Facts, card: Card) -> None:
        bar = self.gate.admits(facts, card)
        if bar is not None:
            self.told["refused"] += 1
            if bar.until is not None and self.chance.random() < 0.1 and len(self.again) < CARDS:
                at = max(bar.until - self.chance.choice((0, 0, SECOND)), facts.at + 1)
                self.counted += 1
                heapq.heappush(self.again, (at, self.counted, facts, card))
            return
        self.told["attempts"] += 1
        seen = self.umpire.asked(card, facts.brand, facts.minor, facts.initiator, facts.at)
        seconds = self.chance.choices(DURATIONS, WEIGHTS)[0] * (0.5 + self.chance.random()) / SECOND
        self.counted += 1
        entry = (facts.at + round(seconds * SECOND), self.counted, facts, card, seen, self.end(seconds))
        heapq.heappush(self.heard, entry)

    def end(self, seconds: float) -> Heard:
        outcome: Any = self.chance.choice(ENDS)
        if outcome != "declined":
            return Heard(outcome, seconds)
        return Heard(outcome, seconds, Decline.DO_NOT_HONOR, self.chance.choice(NETWORK), self.chance.choice(ADVICE))

    def hear(self, until: int) -> None:
        while self.heard and self.heard[0][0] <= until:
            _, _, facts, card, seen, heard = heapq.heappop(self.heard)
            self.gate.concludes(facts, card, facts.at, heard)
            state = "rejected" if heard.outcome == "technical" else heard.outcome
            self.umpire.heard(seen, state, heard.network_code or "", heard.advice_code or "")
            self.told[heard.outcome] += 1

    def summary(self) -> dict[str, Any]:
        return {**self.told, "scheme_violations": dict(self.violations)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.routing.retries.storm", description=__doc__)
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    storm, open_ = Storm(Enforced, given.seed), Storm(Open, given.seed)
    storm.blow(given.attempts)
    open_.blow(min(given.attempts, 10_000))
    print(json.dumps({"seed": given.seed, "limits": storm.summary(), "without_limits": open_.summary()}))
    return 1 if storm.violations or not open_.violations else 0


if __name__ == "__main__":
    sys.exit(main())
