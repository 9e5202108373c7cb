"""What operators get back about breaks and decisions."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from scrooge.api.answers import Amount, Answered, Listed, Moment

DecisionState = Annotated[str, Meta(extra_json_schema={"enum": ["proposed", "expired", "applied", "rejected"]})]
Decided = Annotated[str, Meta(extra_json_schema={"enum": ["approved", "declined", "not_processed", "reversed"]})]


class Break(Answered, frozen=True, kw_only=True):
    """Something that a person has to look at. `closed_by` is an API key, or the worker."""

    id: str
    object: Literal["break"]
    kind: str
    payment: str | None
    attempt: str | None
    connector_account: str | None
    detail: dict[str, Any]
    opened_at: Moment
    closed_at: Moment | None
    closed_by: str | None
    note: str | None


class BreakList(Listed, frozen=True, kw_only=True):
    data: list[Break]


class Decision(Answered, frozen=True, kw_only=True):
    """What an operator says became of an attempt. It counts when another API key than `proposed_by` has approved it.
    `amount` is what was approved, where it is said to be less than was asked."""

    id: str
    object: Literal["decision"]
    payment: str
    attempt: str
    outcome: Decided
    psp_reference: str | None
    amount: Amount | None
    evidence: str
    state: DecisionState
    proposed_by: str
    proposed_at: Moment
    expires_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    note: str | None


class DecisionList(Listed, frozen=True, kw_only=True):
    data: list[Decision]
