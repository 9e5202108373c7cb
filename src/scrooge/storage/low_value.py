"""Payments since a card's payer was last authenticated, as the rows that their counter is told. The counting is done by
the migration's functions, in the statement that records or applies: no request for the low-value exemption is recorded
that they refuse.
"""

from typing import Any

from scrooge.domain.attempt import Attempt, State
from scrooge.domain.payment import Payment
from scrooge.ids import bucket_of, hex_of
from scrooge.routing.authentication import limits_of

LOW_VALUE = "low_value"
# As the PSPs word that the payer did: Stripe's and Adyen's.
DID = frozenset({"authenticated", "true"})
SOME = 10**12  # for an amount that nobody knows: more than any limit


class LowValueUsedUp(Exception):
    """The exemption may not be asked for: too many, or too much, since the payer authenticated. Nothing was kept."""


def place(p: Payment, a: Attempt) -> dict[str, Any]:
    """One counter a card, merchant, mode and threshold's currency, under the bucket of card and merchant."""
    assert a.authentication is not None
    c = a.authentication.counts
    assert c is not None
    whose = {"payment_id": hex_of(p.id), "merchant_id": hex_of(p.merchant), "livemode": p.livemode}
    return {**whose, "bucket": bucket_of(p.merchant, c.card), "card": c.card, "currency": c.currency, "at": c.at}


def counted(p: Payment, a: Attempt) -> list[dict[str, Any]]:
    """A new authorization: what it counts as, and the limits, where it asks for the exemption."""
    if a.authentication is None or a.authentication.counts is None:
        return []
    c = a.authentication.counts
    asks = a.authentication.exemption == LOW_VALUE
    most = limits_of(c.currency, c.at) if asks else None
    limits = {} if most is None else {"most_payments": most[0], "most_minor": most[1]}
    return [{**place(p, a), "minor": SOME if c.minor is None else c.minor, **limits}]


def authenticated(p: Payment, before: Attempt, after: Attempt) -> list[dict[str, Any]]:
    """The payer has authenticated, and the issuer approved: what was counted up to then counts no more."""
    if after.authentication is None or after.authentication.counts is None:
        return []
    if before.state is after.state or after.state not in (State.APPROVED, State.REVERSING):
        return []
    was_sent = before.action is not None  # Without a challenge it was the issuer who let the payer go without.
    return [place(p, after)] if was_sent and after.checks.get("three_d_secure") in DID else []
