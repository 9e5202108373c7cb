"""What people send about stored value, and what they are told of it."""

from typing import Annotated, Literal

from msgspec import Meta

from scrooge.api.answers import Amount, Answered, Listed, Moment
from scrooge.api.bodies import AmountAsked, Body, Cursor, Instant, Limit, Text

Purpose = Annotated[
    str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*$", description="What it is.", examples=["gift_card"])
]
MoveReference = Annotated[Text, Meta(description="Yours, unique within the account.", examples=["gift-4711"])]
KINDS = ["load", "adjust_up", "adjust_down", "hold", "sale", "capture", "release", "refund", "expire"]


class OpenStoredValueAccount(Body, frozen=True, kw_only=True):
    reference: Annotated[
        Text, Meta(description="Yours, unique for ever for this merchant and caller.", examples=["wallet-8123"])
    ]
    customer: Text
    currency: Annotated[str, Meta(min_length=3, max_length=3, examples=["EUR"])]
    purpose: Purpose
    expires_at: Annotated[Instant | None, Meta(description="Then it pays no more, and nothing can be loaded.")] = None


class LoadStoredValue(Body, frozen=True, kw_only=True):
    amount: AmountAsked
    reference: MoveReference


class StoredValueFilter(Body, frozen=True, kw_only=True):
    customer: Text
    limit: Limit = 20
    cursor: Cursor | None = None


class StoredValueAccount(Answered, frozen=True, kw_only=True):
    """`available` can be spent; `held` is authorized and neither captured nor released. `instrument` pays from it."""

    id: str
    object: Literal["stored_value_account"]
    livemode: bool
    reference: str | None
    customer: str
    currency: str
    purpose: str
    instrument: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["open", "expired", "closed"]})]
    available: Amount
    held: Amount
    expires_at: Moment | None
    closed_at: Moment | None
    replaced_by: str | None
    created_at: Moment


class StoredValueAccountList(Listed, frozen=True, kw_only=True):
    data: list[StoredValueAccount]


class StoredValueMove(Answered, frozen=True, kw_only=True):
    """A line of the statement: `number` from 1 on, with both balances after it."""

    id: str
    object: Literal["stored_value_move"]
    account: str
    number: int
    kind: Annotated[str, Meta(extra_json_schema={"enum": KINDS})]
    amount: Amount
    available: Amount
    held: Amount
    reference: str | None
    payment: str | None
    attempt: str | None
    reason: str | None
    created_at: Moment


class StoredValueMoveList(Listed, frozen=True, kw_only=True):
    data: list[StoredValueMove]
