"""What callers get back. Encoded as they are, and shown in the OpenAPI document.

A field with `UNSET` is left out when it does not apply; every other field is always there. Moments are
RFC 3339 in UTC with microseconds.
"""

from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from scrooge.api.bodies import Status
from scrooge.api.retry_answers import Recovery, Retry
from scrooge.domain.attempt import State

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Capturing = Literal["automatic", "manual"]

# Values that the domain computes: texts here, enumerations in the OpenAPI document.
PaymentStatus = Annotated[str, Meta(extra_json_schema={"enum": list(get_args(Status))})]
Certainty = Annotated[str, Meta(extra_json_schema={"enum": ["certain", "unknown"]})]
MODIFIED = ["succeeded", "pending", "processing", "declined", "failed", "reversed"]
ModificationStatus = Annotated[str, Meta(extra_json_schema={"enum": MODIFIED})]
AttemptStatus = Annotated[str, Meta(extra_json_schema={"enum": [str(state) for state in State]})]


class Answered(Struct, frozen=True, kw_only=True):
    """A document we answer with; fields may be added in later versions."""


class Amount(Answered, frozen=True, kw_only=True):
    """A decimal string with exactly the currency's ISO 4217 scale."""

    value: str
    currency: str


class RetryAdvice(Answered, frozen=True, kw_only=True):
    action: Literal["retry_later", "retry_elsewhere", "authenticate", "new_details", "stop"]


class NetworkCodes(Answered, frozen=True, kw_only=True):
    code: str | None
    advice_code: str | None


class PspCodes(Answered, frozen=True, kw_only=True):
    connector: str
    code: str | None
    message: str | None


class Decline(Answered, frozen=True, kw_only=True):
    """Why the issuer (or the PSP's risk rules) said no. `hard`: the same details can never succeed."""

    category: str
    hard: bool
    retry_advice: RetryAdvice
    network: NetworkCodes
    psp: PspCodes
    customer_message_key: str


class Failure(Answered, frozen=True, kw_only=True):
    """Why nobody was asked: `reasons` by connector account. The payment can be authorized again. Of a payment with
    tenders: why all of it was taken back; it cannot."""

    code: Annotated[str, Meta(examples=["no_route", "risk_blocked", "tender_declined"])]
    detail: str
    reasons: dict[str, str]


class Unknown(Answered, frozen=True, kw_only=True):
    """We cannot tell yet, and are asking."""

    since: Moment
    attempt: str
    operation: str
    reason: str | None


class NextAction(Answered, frozen=True, kw_only=True):
    """Where to send the payer. With POST, `fields` is the form to send there."""

    type: Literal["redirect"]
    url: str
    method: str
    fields: dict[str, str]
    expires_at: Moment


class PaymentInstrument(Answered, frozen=True, kw_only=True):
    id: str
    brand: str | None
    iin: str | None
    last4: str | None
    exp: str | None


class Attempt(Answered, frozen=True, kw_only=True):
    """One request to one PSP. `status` is its state; `reference` is ours at the PSP."""

    id: str
    object: Literal["attempt"]
    number: int
    operation: Literal["authorize", "capture", "void", "refund", "increment", "verify"]
    connector_account: str
    status: AttemptStatus
    amount: Amount
    sale: bool
    final: bool
    closed: Literal["voided", "expired"] | None
    parent: str | None
    reference: str
    caller_reference: str | None
    psp_reference: str | None
    network_transaction_id: str | None
    checks: dict[str, str]
    decline: Decline | None
    reason: str | None
    expires_at: Moment | None
    sent_at: Moment
    concluded_at: Moment | None
    latency_ms: float | None


class Moved(Answered, frozen=True, kw_only=True):
    """One thing that happened to a payment, in the order it happened."""

    seq: int
    at: Moment
    type: str
    ref: str | None
    content: dict[str, Any]


class Posting(Answered, frozen=True, kw_only=True):
    """Debits are positive, credits negative."""

    account: str
    amount: Amount


class Journal(Answered, frozen=True, kw_only=True):
    id: str
    object: Literal["journal"]
    effect: str
    attempt: str
    created_at: Moment
    postings: list[Posting]


class Routing(Answered, frozen=True, kw_only=True):
    """Why an attempt went where it went, or (no attempt) why nobody was asked: `decision` has the accounts in the order
    to try, their scores and parts, why others were excluded, how likely the choice was, the policy's version, and what
    was known of the payment. `authentication`: what was asked of payer or issuer, by which article."""

    attempt: str | None
    decision: dict[str, Any]
    authentication: dict[str, Any] | None


class SavedFor(Answered, frozen=True, kw_only=True):
    use: Annotated[
        str,
        Meta(extra_json_schema={"enum": ["recurring", "unscheduled", "instalment", "subscription", "on_demand"]}),
    ]
    max: Amount | UnsetType = UNSET
    interval: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    fallback: bool | UnsetType = UNSET


class Tender(Answered, frozen=True, kw_only=True):
    """What one instrument pays of a payment, as a payment of its own (`payment`; null: not asked yet)."""

    instrument: PaymentInstrument | None
    amount: Amount
    payment: str | None
    status: PaymentStatus
    amount_captured: Amount
    amount_refunded: Amount
    amount_voided: Amount


class Payment(Answered, frozen=True, kw_only=True):
    id: str
    object: Literal["payment"]
    version: int
    livemode: bool
    reference: str
    caller: str
    merchant: str
    status: PaymentStatus
    outcome_certainty: Certainty
    amount: Amount
    amount_authorized: Amount
    amount_captured: Amount
    amount_refunded: Amount
    amount_voided: Amount
    instrument: PaymentInstrument | None
    customer: str | None
    initiator: Literal["customer", "merchant"]
    purpose: str | None
    capture: Capturing
    decline: Decline | None
    connector_account: str | None
    latest_attempt: str | None
    attempt_count: int
    return_url: str | None
    statement_descriptor: str | None
    metadata: dict[str, str]
    created_at: Moment
    failure: Failure | UnsetType = UNSET
    unknown: Unknown | UnsetType = UNSET
    next_action: NextAction | UnsetType = UNSET
    save_for: SavedFor | UnsetType = UNSET
    incremental: bool | UnsetType = UNSET  # asked to be one whose authorization may be raised
    mandate: str | UnsetType = UNSET  # under which it is made, or to which the payer agrees with it
    retry: Retry | UnsetType = UNSET
    recovery: Recovery | UnsetType = UNSET
    tenders: list[Tender] | UnsetType = UNSET
    part_of: str | UnsetType = UNSET  # the payment that this one is a part of
    attempts: list[Attempt] | UnsetType = UNSET
    timeline: list[Moved] | UnsetType = UNSET
    journals: list[Journal] | UnsetType = UNSET
    routing: list[Routing] | UnsetType = UNSET
    risk: list[dict[str, Any]] | UnsetType = UNSET  # by attempt: what was checked before it, docs/risk.md


class Listed(Answered, frozen=True, kw_only=True):
    """A page. `next_cursor` is null on the last one; `query` repeats the filters."""

    object: Literal["list"]
    has_more: bool
    next_cursor: str | None
    query: dict[str, str]


class PaymentList(Listed, frozen=True, kw_only=True):
    data: list[Payment]
