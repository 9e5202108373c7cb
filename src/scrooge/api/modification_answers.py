"""What callers get back of captures, voids, refunds and increments."""

from typing import Literal

from msgspec import UNSET, UnsetType

from scrooge.api.answers import Amount, Answered, Certainty, Decline, Listed, ModificationStatus, Moment, PaymentStatus


class PaymentState(Answered, frozen=True, kw_only=True):
    id: str
    status: PaymentStatus


class Share(Answered, frozen=True, kw_only=True):
    """What one tender does of a capture, void or refund; `id` is that of its part's own, null where none was asked."""

    payment: str
    id: str | None
    operation: Literal["capture", "void", "refund"]
    amount: Amount
    status: ModificationStatus


class Modification(Answered, frozen=True, kw_only=True):
    """Of a payment: a capture, a void, a refund or an increment. With tenders: no attempt, but `shares`."""

    id: str
    object: Literal["capture", "void", "refund", "increment"]
    status: ModificationStatus
    outcome_certainty: Certainty
    amount: Amount
    reference: str | None
    attempt: str | None
    connector_account: str | None
    psp_reference: str | None
    decline: Decline | None
    reason: str | None
    created_at: Moment
    shares: list[Share] | UnsetType = UNSET


class Capture(Modification, frozen=True, kw_only=True):
    object: Literal["capture"]
    final: bool
    payment: PaymentState


class Void(Modification, frozen=True, kw_only=True):
    object: Literal["void"]
    payment: PaymentState


class Refund(Modification, frozen=True, kw_only=True):
    object: Literal["refund"]
    payment: str


class Increment(Modification, frozen=True, kw_only=True):
    """`amount` is by how much, `total` the whole that the PSP was asked to authorize."""

    object: Literal["increment"]
    total: Amount
    payment: PaymentState


class CaptureList(Listed, frozen=True, kw_only=True):
    data: list[Capture]


class VoidList(Listed, frozen=True, kw_only=True):
    data: list[Void]


class IncrementList(Listed, frozen=True, kw_only=True):
    data: list[Increment]


class RefundList(Listed, frozen=True, kw_only=True):
    data: list[Refund]
