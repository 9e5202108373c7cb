"""What a payer agreed to: later payments that the merchant makes without them, with one instrument."""

from enum import StrEnum

from msgspec import Struct

from scrooge.ids import retyped


class Use(StrEnum):
    """What a stored credential is kept for, as the schemes tell them apart."""

    RECURRING = "recurring"  # at fixed times, with no end that was agreed
    UNSCHEDULED = "unscheduled"  # whenever it is due
    INSTALMENT = "instalment"  # one purchase, in parts


# As callers say it, in the words of today and of before. What each PSP makes of a use is in its connector.
USES = {**{str(use): use for use in Use}, "subscription": Use.RECURRING, "on_demand": Use.UNSCHEDULED}


# The types of its events.
ACTIVATED, UPDATED, WITHDRAWN = "mandate_activated", "mandate_updated", "mandate_revoked"


class Status(StrEnum):
    PENDING = "pending"  # the payment with which the payer agreed is not approved yet
    ACTIVE = "active"
    REVOKED = "revoked"


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was agreed beside the use. `max_minor` of `currency` is the most that one payment may be."""

    max_minor: int | None = None
    currency: str | None = None
    period: str | None = None  # day, week, month, quarter, year
    description: str | None = None
    fallback: bool = False  # it may pay what another mandate of this payer, for the same use, was declined for


class Revoked(Struct, frozen=True):
    """`by`: merchant, customer, issuer or psp."""

    because: str
    by: str
    at: int = 0  # Unix microseconds


class Earlier(Struct, frozen=True):
    """A card that was the mandate's until another was. `verification`: of the one that came after it."""

    instrument: str
    verification: str
    until: int  # Unix microseconds


class Mandate(Struct, frozen=True, kw_only=True):
    """Its id is the number of the payment (or verification) with which the payer agreed, under another prefix."""

    id: str
    merchant: str
    livemode: bool
    caller: str
    customer: str
    instrument: str
    use: Use
    status: Status = Status.ACTIVE
    terms: Terms = Terms()
    connector_account: str | None = None  # where the payer agreed
    network_transaction_id: str | None = None  # the scheme's name of that payment
    consent_at: int = 0  # Unix microseconds
    revoked: Revoked | None = None
    version: int = 1
    earlier: tuple[Earlier, ...] = ()  # the oldest first


def mandate_of(payment: str) -> str:
    return retyped(payment, "man")


def consent_of(mandate: str) -> str:
    """The payment with which the payer agreed."""
    return retyped(mandate, "pay")
