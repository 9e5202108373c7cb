"""What operators, accountants and machines get back: events, connector accounts, the books, health."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from scrooge.api.answers import Amount, Answered, Listed, Moment

AccountState = Annotated[str, Meta(extra_json_schema={"enum": ["active", "draining", "paused"]})]


class Event(Answered, frozen=True, kw_only=True):
    """Something that became true. `object_version` is the payment's version it belongs to; `attempt` is null where
    the payment failed before it had any. Of `stored_value_...`, `payment` is the account, `object_version` the move."""

    id: str
    object: Literal["event"]
    type: str
    created_at: Moment
    payment: str
    attempt: str | None
    object_version: int
    livemode: bool
    data: dict[str, Any]


class EventList(Listed, frozen=True, kw_only=True):
    """`next_cursor` is always given: ask again `after` it, however empty the page."""

    data: list[Event]


class ConnectorAccount(Answered, frozen=True, kw_only=True):
    """Credentials are never shown."""

    id: str
    object: Literal["connector_account"]
    name: str
    connector: str
    merchant_account: str
    mode: Literal["test", "live"]
    base_url: str | None
    acquirer_country: str | None
    state: AccountState
    created_at: Moment


class ConnectorAccountList(Listed, frozen=True, kw_only=True):
    data: list[ConnectorAccount]


class ConnectorAccountHealth(Answered, frozen=True, kw_only=True):
    """Counts the attempts to authorize among the merchant's newest payments.

    The last four are of the process that answers: each finds its own limit, and has a circuit breaker of its own.
    """

    id: str
    object: Literal["connector_account_health"]
    name: str
    state: AccountState
    since: Moment
    attempts: int
    approved: int
    declined: int
    rejected: int
    open: int
    approval_rate: str | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    unresolved: int
    oldest_unresolved_at: Moment | None
    circuit_breaker: Literal["closed", "half_open", "open"]
    concurrency_limit: int
    in_flight: int
    waiting: int


class Connector(Answered, frozen=True, kw_only=True):
    """`credentials` says which names a connector account needs, and whether each is required."""

    name: str
    object: Literal["connector"]
    operations: list[str]
    multi_capture: bool
    partial_void: bool
    credentials: dict[str, bool]


class ConnectorList(Listed, frozen=True, kw_only=True):
    data: list[Connector]


class LedgerAccount(Answered, frozen=True, kw_only=True):
    """Debits are positive: `balance` is debits less credits."""

    id: str
    object: Literal["ledger_account"]
    account: str
    currency: str
    balance: Amount
    debits: Amount
    credits: Amount


class LedgerAccountList(Listed, frozen=True, kw_only=True):
    data: list[LedgerAccount]


class LedgerEntry(Answered, frozen=True, kw_only=True):
    """One posting. A debit is positive, a credit negative. Where the effect is `stored_value_...`, `payment` is the
    move of stored value, and `attempt` the payment's attempt or, where none asked for it, the move."""

    object: Literal["ledger_entry"]
    journal: str
    line: int
    effect: str
    payment: str
    attempt: str
    amount: Amount
    direction: Literal["debit", "credit"]
    created_at: Moment


class LedgerEntryList(Listed, frozen=True, kw_only=True):
    data: list[LedgerEntry]


class TrialBalanceCurrency(Answered, frozen=True, kw_only=True):
    """`total` is zero, or the books are wrong: run `scrooge check`."""

    currency: str
    debits: Amount
    credits: Amount
    total: Amount
    accounts: list[LedgerAccount]


class TrialBalance(Answered, frozen=True, kw_only=True):
    object: Literal["trial_balance"]
    as_of: Moment
    balanced: bool
    currencies: list[TrialBalanceCurrency]


class Check(Answered, frozen=True, kw_only=True):
    name: str
    ok: bool
    detail: str


class Health(Answered, frozen=True, kw_only=True):
    status: Literal["ok", "unavailable"]
    checks: list[Check]
