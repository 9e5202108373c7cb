"""What people may send about risk. A policy is a document of its own: docs/risk.md."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from scrooge.api.bodies import AmountAsked, Body, Id, InstrumentId, Payer, Text
from scrooge.api.operation_bodies import Words
from scrooge.api.routing_bodies import Notes

RiskPolicyId = Annotated[Id, Meta(examples=["rsk_01K9YH4V9GYB7T2D4Z8QW3M5N6"])]
RiskDocument = Annotated[
    dict[str, Any],
    Meta(
        description="A risk policy: name, mode, rules, service (docs/risk.md).",
        examples=[{"name": "watching", "mode": "observe"}],
    ),
]


class DraftRiskPolicy(Body, frozen=True, kw_only=True):
    document: RiskDocument
    notes: Notes = ""


class ActivateRiskPolicy(Body, frozen=True, kw_only=True):
    """`expect_active`: the policy that you take to be active; null, none."""

    expect_active: RiskPolicyId | None
    reason: Notes = ""


class RollBackRisk(Body, frozen=True, kw_only=True):
    """`to`: a policy that was active before; null, none at all: nothing is checked."""

    to: RiskPolicyId | None
    reason: Words


class ExplainRisk(Body, frozen=True, kw_only=True):
    """A payment as it would be made. `policy`: a version that is not active."""

    amount: AmountAsked
    instrument: InstrumentId
    customer: Text | None = None
    payer: Payer | UnsetType = UNSET
    policy: RiskPolicyId | None = None
