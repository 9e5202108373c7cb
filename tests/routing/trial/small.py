"""A world small enough to work out by hand."""

from collections.abc import Sequence
from typing import Any

from scrooge.routing.facts import Facts
from scrooge.routing.trial.checks import read
from scrooge.routing.trial.issuers import Issuers
from scrooge.routing.trial.oracle import Oracle
from scrooge.routing.trial.rules import Bar, Card
from scrooge.routing.trial.strategy import PATIENCE, Chance, Choice, Heard, Tried
from scrooge.routing.trial.world import World

SMALL = """
version = 1
name = "small"
about = "Two accounts, one segment."
currency = "EUR"
rate = 50.0
start = "2026-03-02T00:00:00Z"
margin_bps = 1000

[[accounts]]
name = "one"
cost = { approved_bps = 100, attempt_minor = "10" }

[[accounts]]
name = "two"
cost = { approved_bps = 200 }

[behaviors.usual]
amount = { median = 10000, spread = 0.0 }
agree = 0.0
declines = [{ decline = "do_not_honor", share = 1.0, network_code = "05" }]

[[segments]]
name = "all"
behavior = "usual"
weight = 1
brand = "visa"
country = "DE"
iins = ["40000001"]
approval = { one = 0.8, two = 0.5 }
"""


def world(text: str = SMALL, **changes: str) -> World:
    """The small world with pieces of its text replaced: `world(rate="rate = 50.0 -> rate = 1.0")`."""
    for change in changes.values():
        old, _, new = change.partition(" -> ")
        assert old in text, old
        text = text.replace(old, new)
    return read(text)


class Open:
    """No rules at all."""

    def admits(self, facts: Facts, card: Card) -> Bar | None:
        return None

    def concludes(self, facts: Facts, card: Card, sent_at: int, heard: Heard) -> None: ...


def oracle(w: World, seed: int = 1) -> Oracle:
    return Oracle(Issuers(w, seed, Open))


class Always:
    """Asks the same account again and again, whatever is heard."""

    def __init__(self, account: str, wait: int = 0, most: int = 3) -> None:
        self.account, self.wait, self.most = account, wait, most
        self.heard: list[tuple[str, Heard, int]] = []

    def decide(self, facts: Facts, accounts: Sequence[str], at: int, tried: Sequence[Tried], chance: Chance) -> Choice:
        if not tried or (self.wait and at - tried[-1].at >= self.wait):
            return Choice(self.account)
        return Choice(later=at + self.wait) if self.wait and len(tried) < self.most else Choice()

    def patience(self, account: str) -> float:
        return PATIENCE

    def learn(self, facts: Facts, account: str, heard: Heard, at: int) -> None:
        self.heard.append((account, heard, at))


def policies(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return found["policies"]
