"""What the simulated Stripe remembers besides the money: its own objects, amounts in its units."""

from typing import Any, Literal

import msgspec

from ..records import Record

Status = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "succeeded",
    "canceled",
]


class Who(msgspec.Struct, frozen=True):
    """The account a call acts on, and the one whose key it carries."""

    account: str
    platform: str
    origin: str
    idempotency_key: str | None = None


class Intent(Record, frozen=True, kw_only=True):
    """A PaymentIntent; what was captured and refunded lives in its charge's authorization."""

    account: str
    platform: str
    origin: str
    created: int
    amount: int
    currency: str
    status: Status
    capture_method: str
    client_secret: str
    visible_at: float
    confirmation_method: str = "automatic"
    metadata: dict[str, str]
    facts: dict[str, str | None]  # description, customer, descriptors, return_url and the like
    payment_method: str | None = None
    payment_method_types: list[str]
    incremental: bool = False  # asked to be one whose authorization may be raised
    charge: str | None = None
    challenge: str | None = None
    error: dict[str, Any] | None = None
    cancellation_reason: str | None = None
    canceled_at: int | None = None

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By account, and by each metadata pair for search."""
        pairs = [("metadata", self.account, k, v) for k, v in self.metadata.items()]
        return (("intents", self.account), *pairs)


class Setup(Record, frozen=True, kw_only=True):
    """A SetupIntent: a card that is verified, and no money."""

    account: str
    platform: str
    origin: str
    created: int
    status: Status
    usage: str
    payment_method: str
    customer: str | None = None
    return_url: str | None = None
    metadata: dict[str, str]
    challenge: str | None = None
    error: dict[str, Any] | None = None
    cancellation_reason: str | None = None

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By account."""
        return (("setups", self.account),)


class Charge(Record, frozen=True, kw_only=True):
    """One try to charge a card; `id` is also its authorization's."""

    account: str
    intent: str
    created: int
    payment_method: str
    month: int
    year: int
    capture_before: int
    decline: str | None = None
    authenticated: bool = False
    code_check: str = "pass"


class Refund(Record, frozen=True, kw_only=True):
    """A refund in the currency's units at Stripe."""

    account: str
    charge: str
    intent: str
    created: int
    amount: int
    currency: str
    status: Literal["pending", "succeeded", "failed"]
    reason: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, str]

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By account, and by what is refunded."""
        return (
            ("refunds", self.account),
            ("refunds", self.account, self.intent),
            ("refunds", self.account, self.charge),
        )


class Customer(Record, frozen=True, kw_only=True):
    """A payer as the merchant named them."""

    account: str
    created: int
    email: str | None = None
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str]


class Endpoint(Record, frozen=True, kw_only=True):
    """A registered receiver of events; `connect` takes those of connected accounts."""

    account: str
    created: int
    url: str
    secret: str
    enabled_events: list[str]
    connect: bool = False
    api_version: str | None = None
    description: str | None = None
    metadata: dict[str, str]
    done: bool = False


class Event(Record, frozen=True, kw_only=True):
    """Something that happened, with the object as it was then, already encoded."""

    account: str
    created: int
    type: str
    body: bytes

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By account."""
        return (("events", self.account),)


KINDS = (Intent, Setup, Charge, Refund, Customer, Endpoint, Event)
