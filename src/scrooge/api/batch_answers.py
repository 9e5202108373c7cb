"""What people get back about batches, and a line of results and of errors."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from scrooge.api.answers import Answered, Certainty, Decline, Listed, Moment
from scrooge.domain.batch import Act, Status

BatchStatus = Annotated[str, Meta(extra_json_schema={"enum": [str(status) for status in Status]})]


class BatchWindow(Answered, frozen=True, kw_only=True):
    not_before: Moment | None
    deadline: Moment | None


class BatchPacing(Answered, frozen=True, kw_only=True):
    """Payments a second at most; null: as fast as may be."""

    max_tps: float | None
    per_connector: dict[str, float]
    per_bin: float | None


class BatchInput(Answered, frozen=True, kw_only=True):
    """What of the file is kept. `whole`: all of it."""

    bytes: int
    lines: int
    whole: bool


class BatchCounts(Answered, frozen=True, kw_only=True):
    """Lines. `total` is `valid` and `rejected`; `valid` is the sum of the next seven.

    A payment is counted as it was when its line was done. `left`: not sent, of a batch that ended. `existing`: of all,
    those whose payment was there before, as far as that is known: when a line came in, or when its turn had come.
    """

    total: int
    valid: int
    rejected: int
    captured: int
    declined: int
    failed: int
    processing: int
    refused: int
    queued: int
    left: int
    existing: int


class BatchAct(Answered, frozen=True, kw_only=True):
    """`author`: the id of an API key, or `worker`."""

    act: Annotated[str, Meta(extra_json_schema={"enum": [str(act) for act in Act]})]
    status: BatchStatus
    author: str
    because: str
    created_at: Moment


class Batch(Answered, frozen=True, kw_only=True):
    """`eta`: when the last line will be sent, at the pace of late; null when that cannot be said."""

    id: str
    object: Literal["batch"]
    version: int
    livemode: bool
    name: str
    kind: Literal["payments"]
    caller: str
    status: BatchStatus
    because: str | None
    window: BatchWindow
    pacing: BatchPacing
    on_health_alarm: Literal["pause", "continue"]
    retry_until: Moment | None
    statement_descriptor: str | None
    input: BatchInput
    counts: BatchCounts
    auth_rate: str | None
    rate: float | None
    eta: Moment | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    history: list[BatchAct] | UnsetType = UNSET


class BatchList(Listed, frozen=True, kw_only=True):
    data: list[Batch]


class Result(Struct, frozen=True, kw_only=True):
    """`status`: the payment's; `refused`: no payment was made, `error` says why; `left`: the batch ended before it."""

    line: int
    custom_id: str
    reference: str
    payment: str | None
    status: str
    outcome_certainty: Certainty | UnsetType = UNSET
    existing: bool | UnsetType = UNSET
    decline: Decline | UnsetType | None = UNSET
    error: Any = UNSET
