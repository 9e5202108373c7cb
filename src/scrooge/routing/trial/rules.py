"""What may follow a decline: the cascade's rules (`routing.retries`) and the schemes', for every policy alike."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from scrooge.domain.declines import Advice, Decline
from scrooge.domain.outcome import Declined
from scrooge.domain.retry import NEVER_AGAIN, Elsewhere
from scrooge.routing.declines.catalogue import catalogue, read
from scrooge.routing.facts import Facts
from scrooge.routing.retries import Situation, next_step
from scrooge.routing.trial.calendar import SECOND
from scrooge.routing.trial.strategy import Heard

Card = tuple[int, int]  # its segment, and its number there


class Bar(Struct, frozen=True):
    """An attempt that a scheme's rule does not let out; `until` None: never."""

    until: int | None


class Gate(Protocol):
    """What enforces the schemes' rules at `facts.at`: in production the transaction that records an attempt."""

    def admits(self, facts: Facts, card: Card) -> Bar | None:
        """None: the attempt is let out, and counts from now on."""

    def concludes(self, facts: Facts, card: Card, sent_at: int, heard: Heard) -> None: ...


class Why(Struct, frozen=True):
    """A reason as the issuer words it."""

    decline: Decline
    network_code: str | None
    advice_code: str | None


class After(Struct, frozen=True):
    """`onward`: another account may be asked at once. `wait`: microseconds until the card may be asked about again."""

    onward: bool
    wait: int | None


class Rules:
    """Found out by asking the gate itself, so that the oracle keeps the very rules that it enforces."""

    def __init__(self, gate: Callable[[], Gate], currency: str, at: int) -> None:
        self.gate, self.currency, self.at = gate, currency, at
        self.known: dict[tuple[Why, str, bool], After] = {}

    def after(self, why: Why, brand: str, renewal: bool) -> After:
        key = (why, brand, renewal)
        if key not in self.known:
            self.known[key] = self.found(*key)
        return self.known[key]

    def found(self, why: Why, brand: str, renewal: bool) -> After:
        declined = Declined(why.decline, network_code=why.network_code, advice_code=why.advice_code)
        reading = read(catalogue(), declined, "", brand)
        if why.advice_code in NEVER_AGAIN or reading.advice not in {Advice.RETRY_ELSEWHERE, Advice.RETRY_LATER}:
            return After(False, None)
        elsewhere = isinstance(next_step(declined, 1, 1, Situation(brand=brand)), Elsewhere)
        gate, card, initiator = self.gate(), (0, 0), "merchant" if renewal else "customer"

        def facts(at: int) -> Facts:
            return Facts(merchant="trial", currency=self.currency, minor=1000, at=at, brand=brand, initiator=initiator)

        gate.admits(facts(self.at), card)
        heard = Heard("declined", 0.0, why.decline, why.network_code, why.advice_code)
        gate.concludes(facts(self.at), card, self.at, heard)
        bar = gate.admits(facts(self.at + SECOND), card)
        wait = 0 if bar is None else None if bar.until is None else bar.until - self.at
        return After(elsewhere and wait == 0, wait)
