"""The routing policy as it is written: who may take a payment, rules in order, commitments, the scorer. Pure.

A policy is JSON over the API and TOML in a file; both say the same. Accounts are named as the merchant names them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from scrooge.routing.estimates import Settings as Learning
from scrooge.routing.health import Settings as Watching
from scrooge.routing.when import ANYTHING, Amount, Text, When

Names = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=100)]
Percent = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?$")]
Part = Annotated[float, Meta(ge=0.0, le=1.0)]
Period = Literal["day", "month", "quarter", "year"]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of: `use` these in order and no other; `split` among these by percent, and no other; `prefer` these, or
    `exclude` these, and read on; `include` the rules of a set. The first `use` or `split` that a payment meets decides.
    """

    name: Text
    when: When = ANYTHING
    use: Names | None = None
    split: Annotated[dict[Text, Percent], Meta(min_length=1, max_length=100)] | None = None
    prefer: Names | None = None
    exclude: Names | None = None
    include: Text | None = None


class Volume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a contract says of the sum of a period in a currency: `least` is a commitment, `most` a limit.

    `shortfall` is the price of staying below the commitment, in percent of what is missing.
    """

    account: Text
    currency: Text
    period: Period = "month"
    least: Amount | None = None
    most: Amount | None = None
    shortfall: Percent = "0"


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an account takes by its contract: any of these conditions. None given: anything."""

    takes: Annotated[tuple[When, ...], Meta(max_length=100)] = ()


class Scorer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How accounts are weighed. Shares are parts of one; `margin` is what an approved payment earns, in percent.

    `floor`: every account that may take a payment gets at least this share of its kind, so that what was not chosen can
    be judged later. `boldness`: 1 explores as much as the doubt about the estimates warrants, 0 not at all.
    `share_step`: how much of all payments may move to an account in a minute. `stickiness`: how much better, in
    approvals, another account must be before a stored credential leaves the one that approved it last.
    `prefer`: what a preference is worth, in approvals. `patience`: percent of the amount that a second's wait costs.
    """

    margin: Percent = "10"
    floor: Annotated[float, Meta(ge=0.0, le=0.05)] = 0.001
    boldness: Annotated[float, Meta(ge=0.0, le=3.0)] = 0.6
    share_step: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.1
    stickiness: Part = 0.05
    prefer: Part = 0.02
    patience: Percent = "0.01"
    probes: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.25
    estimates: Learning = Learning()
    health: Watching = Watching()


class FraudRate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account's fraud of a quarter, by value, in percent: it counts from the quarter's end for two more."""

    account: Text
    quarter: Annotated[str, Meta(pattern=r"^20[0-9]{2}-Q[1-4]$")]
    percent: Percent


class Authentication(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """We choose who is asked to authenticate, and which of `exemptions` are asked for; without this, the PSP does both.

    `mandate_category`: what this merchant's mandates of Indian cards are for, where a limit of its own holds.
    """

    exemptions: Annotated[tuple[Literal["low_value", "risk_analysis"], ...], Meta(max_length=10)] = (
        "low_value",
        "risk_analysis",
    )
    fraud_rates: Annotated[tuple[FraudRate, ...], Meta(max_length=1000)] = ()
    mandate_category: Literal["", "insurance", "mutual_fund", "credit_card_bill", "fastag", "ncmc"] = ""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`merchant` and `caller` say whose payments it is for; None, everybody's. `scope`: which it promises to route.

    A caller is a third party when it asks for merchants that are not its own: its policy chooses among what the
    merchant's leaves, and widens nothing.
    """

    name: Text
    format: Literal["scrooge.routing/1"] = "scrooge.routing/1"
    merchant: Text | None = None
    caller: Text | None = None
    scope: Annotated[tuple[When, ...], Meta(max_length=100)] = ()
    accounts: Annotated[dict[Text, Terms], Meta(min_length=1, max_length=200)]
    rules: Annotated[tuple[Rule, ...], Meta(max_length=1000)] = ()
    sets: Annotated[dict[Text, tuple[Rule, ...]], Meta(max_length=100)] = {}
    volumes: Annotated[tuple[Volume, ...], Meta(max_length=200)] = ()
    scorer: Scorer = Scorer()
    authentication: Authentication | None = None  # the merchant's own only: not in a policy for a caller


def from_json(text: bytes | str) -> Policy:
    """Raises msgspec.ValidationError, which names the place, and msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Policy)


def from_toml(text: bytes | str) -> Policy:
    """Raises like `from_json`."""
    return msgspec.toml.decode(text, type=Policy)


def to_json(policy: Policy) -> bytes:
    """The same bytes for the same policy: what a version is told by."""
    return msgspec.json.encode(policy, order="deterministic")
