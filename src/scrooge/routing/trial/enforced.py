"""The schemes' rules as production enforces them when it records an attempt: one set of counters per card."""

from collections import defaultdict
from typing import Literal

from scrooge.routing.facts import Facts
from scrooge.routing.schemes.counters import Admitted, Counter, admit, conclude
from scrooge.routing.schemes.rules import Attempt, Rules, load
from scrooge.routing.trial.calendar import SECOND
from scrooge.routing.trial.rules import Bar, Card
from scrooge.routing.trial.strategy import Heard

RULES = load()


class Enforced:
    """A `Gate`."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.counters: dict[Card, dict[str, Counter]] = defaultdict(dict)

    def admits(self, facts: Facts, card: Card) -> Bar | None:
        counters = self.counters[card]
        found = admit(self.rules, counters, asked(facts, card, facts.at))
        if not isinstance(found, Admitted):
            return Bar(found.until)
        counters |= found.changed
        return None

    def concludes(self, facts: Facts, card: Card, sent_at: int, heard: Heard) -> None:
        if heard.outcome == "late":
            return  # It may have been declined: it counts until it is known.
        counters = self.counters[card]
        outcome = "rejected" if heard.outcome == "technical" else heard.outcome
        counters |= conclude(
            self.rules, counters, asked(facts, card, sent_at), outcome, heard.network_code, heard.advice_code,
            sent_at + round(heard.seconds * SECOND),
        )  # fmt: skip


def initiator_of(facts: Facts) -> Literal["customer", "merchant"]:
    return "merchant" if facts.initiator == "merchant" else "customer"


def asked(facts: Facts, card: Card, at: int) -> Attempt:
    return Attempt(
        merchant=facts.merchant, card=f"{card[0]}:{card[1]}", brand=facts.brand, minor=facts.minor,
        currency=facts.currency, initiator=initiator_of(facts), at=at,
    )  # fmt: skip
