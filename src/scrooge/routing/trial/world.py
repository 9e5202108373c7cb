"""A world: the sandbox's issuers and accounts as a file. Everything in it is assumed, nothing is measured.

The format is documented in docs/routing.md; `checks.py` says what must hold beyond the types.
"""

from typing import Literal

from msgspec import Struct

from scrooge.domain.declines import Decline

POINTS = 0.01  # what one point of approval is


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: a name that it does not know is refused."""


class Cost(Part, frozen=True, kw_only=True):
    """What an account takes. Minor units may have fractions, as decimal text: "0.5"."""

    approved_bps: float = 0.0  # of the amount, when approved
    approved_minor: str = "0"  # when approved
    attempt_minor: str = "0"  # for every attempt that the issuer heard of


class Seconds(Part, frozen=True, kw_only=True):
    """How long an answer takes: half come within `median`, 99 of 100 within `slow`; log-normal."""

    median: float = 0.4
    slow: float = 1.5


class Account(Part, frozen=True, kw_only=True):
    name: str
    cost: Cost = Cost()
    seconds: Seconds = Seconds()


class Reason(Part, frozen=True, kw_only=True):
    """Why the issuer says no, and the codes with which it says so. `advice_code` is sent by Mastercard only."""

    decline: str
    share: float
    network_code: str = ""
    advice_code: str = ""


class Trouble(Reason, frozen=True, kw_only=True):
    """A state of the card, the same at every account: `share` of the cards are in it.

    `lasts`: for ever, to the end of the day in the issuer's zone, or to the payer's next payday. `early` of those
    states end sooner, anywhere in between; in the period after it comes again with probability `again`.
    """

    lasts: Literal["forever", "day", "payday"]
    early: float = 0.0
    again: float = 0.0


class Amount(Part, frozen=True, kw_only=True):
    """Log-normal, in minor units: half are below `median`; `spread` is the logarithm's standard deviation."""

    median: int
    spread: float = 0.5
    least: int = 1
    most: int = 99_999_999


class Behavior(Part, frozen=True, kw_only=True):
    """What segments have in common. `declines`: the issuer's reasons, by share, where the card itself could pay."""

    amount: Amount
    declines: tuple[Reason, ...]
    troubles: tuple[Trouble, ...] = ()
    renewals: float = 0.0  # share of payments that nobody waits for
    agree: float = 0.5  # how often the issuer would decide the same wherever the payment comes from
    paydays: tuple[int, ...] = (1,)  # days of the month, at midnight of the issuer's zone


class Segment(Part, frozen=True, kw_only=True):
    """Cards of one kind. `approval`: for each account, how likely the issuer approves a card that can pay."""

    name: str
    behavior: str
    weight: float
    brand: str
    country: str
    iins: tuple[str, ...]
    approval: dict[str, float]
    issuer: str = ""
    funding: Literal["credit", "debit", "prepaid", ""] = "credit"
    product: Literal["consumer", "commercial", ""] = "consumer"
    zone: str = "+00:00"
    cards: int = 100_000
    extra_bps: dict[str, float] = {}  # what an account takes more or less for this segment: interchange, mostly


class Drift(Part, frozen=True, kw_only=True):
    """Approval moves by `points` (hundredths): along a line between two moments, or daily with its best hour."""

    kind: Literal["line", "daily"]
    points: float
    accounts: tuple[str, ...] = ()  # none named: all
    segments: tuple[str, ...] = ()  # none named: all
    since: str = "0s"  # after the start; of a line
    until: str = "0s"
    peak: str = "12:00"  # UTC; of a day


class Outage(Part, frozen=True, kw_only=True):
    """`share` of what it touches fails. No account: the issuers of `segments` fail, at every account alike.

    refused: the PSP says that it did nothing. errors: a 5xx, at once. silent: nothing for `seconds`.
    declines: the issuer, or the PSP in its name, says no with `decline`.
    """

    kind: Literal["refused", "errors", "silent", "declines"]
    since: str
    until: str
    account: str = ""
    segments: tuple[str, ...] = ()
    share: float = 1.0
    seconds: float = 30.0
    decline: str = "issuer_unavailable"
    network_code: str = "91"


class Renewals(Part, frozen=True, kw_only=True):
    """How often a payment that nobody waits for may be asked about again: rounds with the first, and for how long."""

    rounds: int = 4
    within: str = "14d"


class World(Part, frozen=True, kw_only=True):
    version: Literal[1]
    name: str
    about: str
    currency: str
    rate: float  # payments a second
    start: str
    margin_bps: float  # what an approved payment is worth to the merchant, of its amount, before what it costs
    accounts: tuple[Account, ...]
    behaviors: dict[str, Behavior]
    segments: tuple[Segment, ...]
    drifts: tuple[Drift, ...] = ()
    outages: tuple[Outage, ...] = ()
    renewals: Renewals = Renewals()


def reason_of(code: str) -> Decline:
    """ValueError where the catalogue has no such reason."""
    return Decline(code)
