"""What operators may send about breaks and decisions."""

from typing import Annotated, Literal

from msgspec import Meta

from scrooge.api.bodies import AmountAsked, Body, Cursor, Id, Limit, PspText

Words = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\u0000-\u001f\u007f]+$")]
Evidence = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4000,
        pattern=r"^[^\u0000-\u001f\u007f]+$",
        description="What you saw and where: a ticket, an address, the PSP's own words.",
        examples=["Customer Area shows CancelledExternally; case 1123"],
    ),
]
Outcome = Literal["approved", "declined", "not_processed", "reversed"]


class BreakFilter(Body, frozen=True, kw_only=True):
    open: Literal["true", "false"] | None = None
    kind: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class CloseBreak(Body, frozen=True, kw_only=True):
    note: Annotated[Words, Meta(description="What was found and done.", examples=["refunded by hand, case 1123"])]


class DecisionFilter(Body, frozen=True, kw_only=True):
    state: Literal["proposed", "expired", "applied", "rejected"] | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class ProposeDecision(Body, frozen=True, kw_only=True):
    """`psp_reference` is needed for `approved` where the PSP's name of the attempt is not known yet. `amount` says that
    an authorization or a capture was approved for less than was asked."""

    attempt: Annotated[Id, Meta(examples=["att_01K9YH4V9GYB7T2D4Z8QW3M5N6"])]
    outcome: Outcome
    evidence: Evidence
    psp_reference: PspText | None = None
    amount: AmountAsked | None = None


class RejectDecision(Body, frozen=True, kw_only=True):
    note: Words | None = None
