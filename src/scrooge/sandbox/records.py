"""What the sandbox remembers that every PSP has: money, truth, answers given, news to deliver."""

from typing import Literal

import msgspec

from .cards import POOR_AT_FIRST

Operation = Literal["authorize", "sale", "capture", "void", "refund", "increment"]
Outcome = Literal["approved", "declined", "reversed"]


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="record"):
    """A row of the state, found by its id among rows of its own type."""

    id: str

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """Under which keys, besides its id, this record is looked up."""
        return ()


class Authorization(Record, frozen=True, kw_only=True):
    """One authorization at the simulated acquirer; all amounts in ISO 4217 minor units."""

    connector: str
    merchant_account: str
    reference: str
    psp_reference: str  # what the PSP calls the payment
    currency: str
    minor: int
    sale: bool
    number: str
    network_transaction_id: str = ""
    state: Literal["pending", "approved", "declined", "expired"] = "pending"
    captured_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By what was asked, for the issuer that remembers it."""
        return (asked(self),) if self.number == POOR_AT_FIRST else ()


def asked(auth: Authorization) -> tuple[str, ...]:
    """The same amount of the same card by the same merchant."""
    return ("asked", auth.connector, auth.merchant_account, auth.number, f"{auth.minor} {auth.currency}")


class Truth(Record, frozen=True, kw_only=True):
    """One thing that really happened to money; `n` counts from 1."""

    n: int
    connector: str
    merchant_account: str
    reference: str
    operation: Operation
    psp_reference: str
    minor: int
    currency: str
    outcome: Outcome
    at: str


class Answered(Record, frozen=True, kw_only=True):
    """The stored answer of an idempotency key; `id` is connector, account and key."""

    fingerprint: bytes
    request_id: str
    status: int
    body: bytes


class Token(Record, frozen=True, kw_only=True):
    """A stored card; `owner` is the payer's name at the merchant. One that is `gone` pays for nothing any more."""

    connector: str
    number: str
    month: int
    year: int
    owner: str | None = None
    created: int = 0
    gone: bool = False
    code_check: str = "pass"  # of the security code: pass, fail, or "" where none was given
    account: str = ""  # the merchant account that stored it, where tokens have one


class Challenge(Record, frozen=True, kw_only=True):
    """A 3-D Secure challenge waiting for, or answered by, the payer; the last three are shown to the payer."""

    connector: str
    payment: str
    return_url: str
    answer: Literal["", "success", "fail", "timeout"] = ""  # timeout: nobody will ever hear one
    merchant: str = ""
    amount: str = ""
    last4: str = ""


class Task(Record, frozen=True, kw_only=True):
    """Something the PSP will do by itself, once, at `due_at` (Unix seconds)."""

    name: str
    subject: str
    due_at: float
    done: bool = False


class Notice(Record, frozen=True, kw_only=True):
    """A notification on its way to one target; `due_at` (Unix seconds) is its next try."""

    connector: str
    target: str
    body: bytes
    due_at: float
    tries: int = 0
    done: bool = False
