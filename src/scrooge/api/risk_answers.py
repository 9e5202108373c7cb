"""What people get back about risk."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from scrooge.api.answers import Answered, Listed, Moment
from scrooge.api.routing_answers import PolicyState, Turned

Deed = Annotated[str, Meta(extra_json_schema={"enum": ["allow", "review", "challenge", "block"]})]


class RiskPolicy(Answered, frozen=True, kw_only=True):
    """One version of a policy, which never changes."""

    id: str
    object: Literal["risk_policy"]
    version: int
    name: str
    state: PolicyState
    document: dict[str, Any]
    author: str
    notes: str
    created_at: Moment
    activated_at: Moment | None


class RiskPolicyList(Listed, frozen=True, kw_only=True):
    data: list[RiskPolicy]


class RiskState(Answered, frozen=True, kw_only=True):
    """What counts now; `policy` null: nothing is checked."""

    object: Literal["risk_state"]
    policy: RiskPolicy | None


class RiskActivation(Answered, frozen=True, kw_only=True):
    object: Literal["risk_activation"]
    number: int
    policy: str | None
    previous: str | None
    kind: Turned
    author: str
    reason: str
    created_at: Moment


class RiskActivationList(Listed, frozen=True, kw_only=True):
    data: list[RiskActivation]


class RiskHit(Answered, frozen=True, kw_only=True):
    """A rule that speaks; `enforced` false: it only watches."""

    rule: str
    does: Deed
    because: str
    enforced: bool


class RiskExplanation(Answered, frozen=True, kw_only=True):
    """What the rules would say now, by what this process has seen and heard; the service is not asked. `counts`: by
    fact and time, `[attempts, declines, other cards]`."""

    object: Literal["risk_explanation"]
    policy: str | None
    did: Deed
    would: Deed
    hits: list[RiskHit]
    counts: dict[str, list[int]]
