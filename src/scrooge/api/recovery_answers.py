"""What callers are told of winning declined payments back, many at once."""

from typing import Literal

from msgspec import Struct, field

from scrooge.api.answers import Amount, Listed
from scrooge.api.bodies import Body, Cursor, Limit, Moment, Text
from scrooge.api.retry_answers import MeansShown, State, WhyShown
from scrooge.api.retry_answers import Moment as At

MeansAsked = Literal["wait", "refresh", "other_mandate", "customer"]


class Recovered(Struct, frozen=True, kw_only=True):
    """A declined payment that is, or was, tried again. `until`: the caller's deadline."""

    payment: str
    object: Literal["recovery"]
    amount: Amount
    state: State
    reason: str
    means: MeansShown
    why: WhyShown
    control: bool
    retries: int
    next_at: At | None
    until: At
    opened_at: At
    ended_at: At | None


class RecoveryList(Listed, frozen=True, kw_only=True):
    data: list[Recovered]


class Counted(Struct, frozen=True, kw_only=True):
    """So many payments, and what they are worth."""

    count: int
    amount: Amount


class Told(Struct, frozen=True, kw_only=True):
    """`declined` is the sum of the others."""

    declined: Counted
    recovered: Counted
    lost: Counted
    open: Counted


class OfCurrency(Struct, frozen=True, kw_only=True):
    """By the last decline's reason, by the last means, and by why those that were lost are lost."""

    currency: str
    all: Told
    by_reason: dict[str, Told]
    by_means: dict[str, Told]
    lost_by_why: dict[str, Counted]


class Arm(Struct, frozen=True, kw_only=True):
    """Of those whose time is over, how many were recovered. `rate` from 0 to 1; null: of none."""

    recovered: int
    of: int
    rate: float | None


class Uplift(Struct, frozen=True, kw_only=True):
    """Recovered beyond what the timetable alone recovers: the difference of the rates, and its interval of 95 %."""

    difference: float
    low: float
    high: float


class RecoverySummary(Struct, frozen=True, kw_only=True):
    """Of payments that were declined in a time. `uplift` is null until somebody of each arm has no time left."""

    object: Literal["recovery_summary"]
    livemode: bool
    currencies: list[OfCurrency]
    treated: Arm
    control: Arm
    uplift: Uplift | None


class Opened(Body, frozen=True, kw_only=True):
    """When they were declined."""

    created_from: Moment | None = field(name="created[gte]", default=None)
    created_before: Moment | None = field(name="created[lt]", default=None)


class RecoveryFilter(Opened, frozen=True, kw_only=True):
    state: State | None = None
    reason: Text | None = None
    means: MeansAsked | None = None
    limit: Limit = 20
    cursor: Cursor | None = None
