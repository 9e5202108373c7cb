"""What people send about stored value, and what they are told of it."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

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


Code = Annotated[
    str,
    Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9 -]+$", extra_json_schema={"writeOnly": True},
         examples=["7Q2MX-K41ZT-9WBN3-H8YCE-0RJD5-P"]),
]  # fmt: skip


class LoadStoredValue(Body, frozen=True, kw_only=True):
    """By an amount, which an order of yours paid for, or by a code."""

    amount: AmountAsked | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    reference: MoveReference


class AdjustStoredValue(Body, frozen=True, kw_only=True):
    amount: AmountAsked
    direction: Literal["up", "down"]
    reference: MoveReference
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\u0000-\u001f\u007f]+$")]


class MakeStoredValueCodes(Body, frozen=True, kw_only=True):
    reference: Annotated[Text, Meta(description="Yours, unique for ever for this merchant and caller.")]
    amount: AmountAsked
    count: Annotated[int, Meta(ge=1, le=1000, description="How many, each of the whole amount.", examples=[1])] = 1
    expires_at: Annotated[Instant | None, Meta(description="Then they are accepted no more.")] = None


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


class StoredValueAdjustment(Answered, frozen=True, kw_only=True):
    """`proposed`: it waits for another API key. `decided_by` is null where it was small enough to need none."""

    id: str
    object: Literal["stored_value_adjustment"]
    account: str
    direction: Literal["up", "down"]
    amount: Amount
    reference: str
    reason: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["proposed", "applied", "rejected"]})]
    proposed_by: str
    proposed_at: Moment
    decided_by: str | None
    decided_at: Moment | None


class StoredValueCodes(Answered, frozen=True, kw_only=True):
    """Codes that were made together. `codes` are told once, when they are made; a repeated request has none."""

    id: str
    object: Literal["stored_value_codes"]
    livemode: bool
    reference: str
    amount: Amount
    count: int
    used: int
    status: Annotated[str, Meta(extra_json_schema={"enum": ["open", "expired", "canceled"]})]
    expires_at: Moment | None
    created_at: Moment
    codes: list[str]


class StoredValueMoveList(Listed, frozen=True, kw_only=True):
    data: list[StoredValueMove]
