"""What people may send about routing. Policies and prices are documents of their own: docs/routing.md."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from scrooge.api.bodies import AccountName, AmountAsked, Body, Cursor, Id, InstrumentId, Limit
from scrooge.api.operation_bodies import Words

Notes = Annotated[str, Meta(max_length=1000, pattern=r"^[^\u0000-\u001f\u007f]*$", examples=["case 1123"])]
Fact = Annotated[str, Meta(max_length=100, pattern=r"^[^\u0000-\u001f\u007f]*$")]
PolicyId = Annotated[Id, Meta(examples=["pol_01K9YH4V9GYB7T2D4Z8QW3M5N6"])]
PolicyDocument = Annotated[
    dict[str, Any],
    Meta(
        description="A policy: name, accounts, scope, rules, sets, volumes, scorer (docs/routing.md).",
        examples=[{"name": "europe", "accounts": {"stripe_eu": {}, "adyen_eu": {}}}],
    ),
]
PriceDocument = Annotated[
    dict[str, Any],
    Meta(
        description="Prices: schedules and tariffs (docs/routing.md).",
        examples=[{"tariffs": [{"account": "stripe_eu", "valid_from": "2026-01-01"}]}],
    ),
]
Condition = Annotated[
    dict[str, Any],
    Meta(description="As in a policy's rule; all payments unless given.", examples=[{"brand": ["visa"]}]),
]
MONTH = 31 * 86_400


class DraftPolicy(Body, frozen=True, kw_only=True):
    document: PolicyDocument
    notes: Notes = ""


class PolicyFilter(Body, frozen=True, kw_only=True):
    limit: Limit = 20
    cursor: Cursor | None = None


class DiffFilter(Body, frozen=True, kw_only=True):
    base: Annotated[Id, Meta(examples=["pol_01K9YH4V9GYB7T2D4Z8QW3M5N6"])] | None = None


class ActivatePolicy(Body, frozen=True, kw_only=True):
    """`expect_active`: the policy that you take to be active for these payments; null, none."""

    expect_active: PolicyId | None
    reason: Notes = ""


class RollBack(Body, frozen=True, kw_only=True):
    """`to`: a policy that was active before; null, none at all, for the payments of `caller` or for everybody's."""

    to: PolicyId | None
    reason: Words
    caller: Fact | None = None


class ActivationFilter(Body, frozen=True, kw_only=True):
    limit: Limit = 20


class UnmappedFilter(Body, frozen=True, kw_only=True):
    limit: Limit = 100


class SetTariffs(Body, frozen=True, kw_only=True):
    document: PriceDocument
    notes: Notes = ""


class MakeSwitch(Body, frozen=True, kw_only=True):
    """`on` overrules what was found about an account's health; `drain` and `off` send new payments elsewhere."""

    connector_account: AccountName
    state: Literal["on", "drain", "off"]
    reason: Words
    when: Condition | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=12 * MONTH, examples=[3600])] | None = None


class SwitchFilter(Body, frozen=True, kw_only=True):
    all: Literal["true", "false"] = "false"  # with those that were ended and those whose time is over
    limit: Limit = 20
    cursor: Cursor | None = None


class RoutedPayment(Body, frozen=True, kw_only=True):
    """What is known of a payment; a fact that is left out is not known."""

    amount: AmountAsked
    country: Fact = ""
    brand: Fact = ""
    iin: Fact = ""
    issuer: Fact = ""
    funding: Fact = ""
    product: Fact = ""
    method: Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")] = "card"
    initiator: Literal["customer", "merchant"] = "customer"
    purpose: Fact = ""
    three_ds: Fact = ""
    found_low_risk: bool = False  # as if a risk check had looked at this payment and found nothing
    instrument: InstrumentId | None = None  # else as if it were known at every account


class ExplainRouting(Body, frozen=True, kw_only=True):
    """`policy`: a version that is not active; `connector_account`: the only one to try."""

    payment: RoutedPayment
    policy: PolicyId | None = None
    connector_account: AccountName | None = None
