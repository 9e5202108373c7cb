"""What people may send about batches, and a line of their input."""

from typing import Annotated, Literal

from msgspec import Meta, field

from scrooge.api.bodies import AccountName, AmountAsked, Body, Cursor, Id, Instant, Limit, Metadata, Reference, Text

PerSecond = Annotated[float, Meta(ge=0.01, le=100_000, description="Payments a second.", examples=[80])]
Place = Annotated[str, Meta(max_length=10, pattern=r"^[0-9]{1,10}$")]
Statuses = Literal["draft", "validating", "ready", "running", "paused", "completed", "canceled", "expired"]
RetryUntil = Annotated[
    Instant | None, Meta(description="When declined, try again until then, at most 60 days from when it is sent.")
]


class BatchWindow(Body, frozen=True, kw_only=True):
    """Nothing is sent before or after."""

    not_before: Instant | None = None
    deadline: Instant | None = None


class BatchPacing(Body, frozen=True, kw_only=True):
    """At most so many payments a second: of the batch, at one connector account, with cards of one issuer's BIN."""

    max_tps: PerSecond | None = None
    per_connector: Annotated[dict[AccountName, PerSecond], Meta(max_length=100, examples=[{"stripe_eu": 40}])] = field(
        default_factory=dict
    )
    per_bin: PerSecond | None = None


class CreateBatch(Body, frozen=True, kw_only=True):
    name: Annotated[Text, Meta(examples=["renewals-2026-12-01"])]
    kind: Literal["payments"] = "payments"
    window: BatchWindow = BatchWindow()
    pacing: BatchPacing = BatchPacing()
    on_health_alarm: Literal["pause", "continue"] = "pause"
    retry_until: RetryUntil = None
    statement_descriptor: Annotated[str, Meta(min_length=1, max_length=22, pattern=r"^[ -~]+$")] | None = None


class BatchLine(Body, frozen=True, kw_only=True):
    """One line of the input."""

    custom_id: Text
    reference: Reference
    amount: AmountAsked
    mandate: Annotated[Id, Meta(examples=["man_01K9YH4V9GYB7T2D4Z8QW3M5N6"])]
    retry_until: RetryUntil = None
    metadata: Metadata = field(default_factory=dict)


class ChangeBatch(Body, frozen=True, kw_only=True):
    """`reason` is for those who read the history."""

    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\u0000-\u001f\u007f]*$")] = ""


class BatchFilter(Body, frozen=True, kw_only=True):
    status: Statuses | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class InputPlace(Body, frozen=True, kw_only=True):
    """`from`: the byte of the file with which this body begins, 0 or `input.bytes`. `total`: how many the file has."""

    start: Place = field(name="from", default="0")
    total: Place | None = None


class AfterLine(Body, frozen=True, kw_only=True):
    """`after`: the last line that you have."""

    after: Place = "0"
