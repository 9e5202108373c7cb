"""What callers are told of mandates."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from scrooge.api.answers import Amount, Listed
from scrooge.api.bodies import Body, Cursor, Limit

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Consent(Struct, frozen=True, kw_only=True):
    """With which payment the payer agreed, and to what. `max`: the most that one payment may be; null: not said.
    `fallback`: it may pay what another mandate of this payer, for the same use, was declined for."""

    at: Moment
    payment: str
    max: Amount | None
    interval: str | None
    description: str | None
    fallback: bool


class Stored(Struct, frozen=True, kw_only=True):
    """An account whose PSP keeps the card: payments under the mandate can go there by its token."""

    connector_account: str
    token: Literal["stored"]


class RevokedMandate(Struct, frozen=True, kw_only=True):
    at: Moment
    because: str
    by: Annotated[str, Meta(extra_json_schema={"enum": ["merchant", "customer", "issuer", "psp"]})]


class EarlierCard(Struct, frozen=True, kw_only=True):
    """A card that was the mandate's until the payer left another, which `verification` found good."""

    instrument: str
    verification: str
    until: Moment


class Mandate(Struct, frozen=True, kw_only=True):
    """`network_transaction_ids` by brand: how the schemes call the payment in which the payer agreed. `portable`: with
    that and the card itself, or a network token, payments can go to a PSP that keeps no token, too."""

    id: str
    object: Literal["mandate"]
    version: int
    livemode: bool
    customer: str
    instrument: str
    use: Annotated[str, Meta(extra_json_schema={"enum": ["recurring", "unscheduled", "instalment"]})]
    status: Annotated[str, Meta(extra_json_schema={"enum": ["pending", "active", "revoked"]})]
    network_transaction_ids: dict[str, str]
    credentials: list[Stored]
    portable: bool
    consent: Consent
    earlier: list[EarlierCard]
    revoked: RevokedMandate | UnsetType = UNSET


class MandateList(Listed, frozen=True, kw_only=True):
    data: list[Mandate]


class RevokeMandate(Body, frozen=True, kw_only=True):
    """`by`: customer, where it was the payer who asked you to."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f\u007f]+$")]
    by: Literal["merchant", "customer"] = "merchant"


class MandatePage(Body, frozen=True, kw_only=True):
    limit: Limit = 20
    cursor: Cursor | None = None
