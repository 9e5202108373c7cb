"""Attempts and their ends as the rows that the schemes' counters are told; the counting is done by the migration's
functions, in the statement that records or applies. No attempt is recorded that they refuse.
"""

from functools import cache
from typing import Any

from msgspec import Struct, structs

from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.payment import Payment
from scrooge.errors import MandateRevoked, ReattemptRefused
from scrooge.ids import bucket_of, hex_of
from scrooge.postgres.rows import instant
from scrooge.routing.schemes import rules as schemes
from scrooge.routing.schemes.rules import Rules, load
from scrooge.routing.schemes.told import ends, wanted
from scrooge.storage.low_value import LOW_VALUE, LowValueUsedUp

MANDATE = "mandate"  # it is not active any more


class Refused(Struct, frozen=True):
    """`until`: the first moment at which `rule` no longer refuses, Unix microseconds; None: never."""

    rule: str
    until: int | None

    def problem(self) -> ReattemptRefused | LowValueUsedUp | MandateRevoked:
        if self.rule == LOW_VALUE:
            return LowValueUsedUp()
        if self.rule == MANDATE:
            return MandateRevoked("the mandate was revoked", param="mandate")
        until = None if self.until is None else instant(self.until)
        when = "for ever" if until is None else f"until {until}"
        detail = f"the schemes' rule {self.rule} refuses another attempt with this card {when}"
        return ReattemptRefused(detail, param="instrument", rule=self.rule, until=until)


@cache
def rules() -> Rules:
    return load()


def judged(p: Payment, a: Attempt) -> schemes.Attempt:
    """The attempt as the schemes' rules see it, when it was recorded."""
    c = a.counted
    assert c is not None
    return schemes.Attempt(
        merchant=p.merchant,
        card=c.card,
        brand=c.brand,
        minor=a.minor,
        currency=p.currency,
        initiator="merchant" if p.initiator == "merchant" else "customer",
        at=c.at,
        region=c.region,
        acquirer=c.acquirer,
    )


def place(p: Payment, a: Attempt, card: str) -> dict[str, Any]:
    """Whose counters: a card's with one merchant, in one mode, under the bucket of both."""
    assert a.counted is not None
    whose = {"payment_id": hex_of(p.id), "merchant_id": hex_of(p.merchant), "livemode": p.livemode}
    return {**whose, **named(p.merchant, card), "at": a.counted.at}


def named(merchant: str, card: str) -> dict[str, Any]:
    return {"bucket": bucket_of(merchant, card), "card": card}


def places(p: Payment, a: Attempt) -> list[dict[str, Any]]:
    """Of everything that its card is called."""
    return [place(p, a, card) for card in (a.counted.card, *a.counted.also)] if a.counted is not None else []


def wanted_rows(p: Payment, a: Attempt) -> list[dict[str, Any]]:
    """What a new authorization asks of the counters."""
    if a.counted is None:
        return []
    told, card = wanted(rules(), judged(p, a)), a.counted.card
    row = {**place(p, a, card), "counts": told.counts, "limits": told.limits, "stops": told.stops}
    return [{**row, "also": [named(p.merchant, name) for name in a.counted.also]} if a.counted.also else row]


def never_made(p: Payment, a: Attempt) -> list[dict[str, Any]]:
    """What is given back of an attempt that was counted and then not recorded after all."""
    if a.counted is None:
        return []
    found = ends(rules(), judged(p, a), "rejected")
    return [{**where, **structs.asdict(end)} for where in places(p, a) for end in found]


def end_rows(p: Payment, before: Attempt, after: Attempt) -> list[dict[str, Any]]:
    """What the change of an attempt means for the counters."""
    outcome = ended_as(before, after)
    if after.counted is None or outcome is None:
        return []
    answered = after.concluded_at
    found = ends(rules(), judged(p, after), outcome, after.network_code, after.advice_code, answered)
    if before.state is State.REJECTED:  # It was taken back then, and would be taken from another now.
        found = tuple(end for end in found if not end.back)
    return [{**where, **structs.asdict(end)} for where in places(p, after) for end in found]


def ended_as(before: Attempt, after: Attempt) -> str | None:
    """approved, declined or rejected; None: nothing that the counters have to know. Approved late is approved, too."""
    if after.operation not in {Operation.AUTHORIZE, Operation.VERIFY} or before.state is after.state:
        return None
    match after.state:
        case State.APPROVED | State.REVERSING:
            return "approved" if before.approved_minor is None else None
        case State.DECLINED:
            return "declined"
        case State.REJECTED:
            return "rejected"
        case _:
            return None
