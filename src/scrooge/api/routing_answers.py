"""What people get back about routing."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from scrooge.api.answers import Answered, Listed, Moment

PolicyState = Annotated[str, Meta(extra_json_schema={"enum": ["draft", "active", "retired"]})]
SwitchState = Annotated[str, Meta(extra_json_schema={"enum": ["on", "drain", "off"]})]
Turned = Annotated[str, Meta(extra_json_schema={"enum": ["activation", "rollback"]})]


class RoutingPolicy(Answered, frozen=True, kw_only=True):
    """One version of a policy, which never changes. `caller`: whose payments it is for; null, everybody's."""

    id: str
    object: Literal["routing_policy"]
    version: int
    name: str
    caller: str | None
    state: PolicyState
    document: dict[str, Any]
    author: str
    notes: str
    created_at: Moment
    activated_at: Moment | None


class RoutingPolicyList(Listed, frozen=True, kw_only=True):
    data: list[RoutingPolicy]


class PolicyChange(Answered, frozen=True, kw_only=True):
    place: str
    before: Any
    after: Any


class PolicyMove(Answered, frozen=True, kw_only=True):
    """A payment that is treated otherwise: how one is chosen, and among which accounts."""

    payment: dict[str, Any]
    way_before: str
    accounts_before: list[str]
    way_after: str
    accounts_after: list[str]


class PolicyDiff(Answered, frozen=True, kw_only=True):
    """`moved`: one payment of each case, at most 20; null where the policies are too entangled to try all cases."""

    object: Literal["routing_policy_diff"]
    base: str | None
    policy: str
    changes: list[PolicyChange]
    moved: list[PolicyMove] | None


class RoutingState(Answered, frozen=True, kw_only=True):
    """What counts now; `policy` null: none."""

    object: Literal["routing_state"]
    policy: RoutingPolicy | None


class RoutingActivation(Answered, frozen=True, kw_only=True):
    object: Literal["routing_activation"]
    number: int
    caller: str | None
    policy: str | None
    previous: str | None
    kind: Turned
    author: str
    reason: str
    created_at: Moment


class RoutingActivationList(Listed, frozen=True, kw_only=True):
    data: list[RoutingActivation]


class RoutingTariffs(Answered, frozen=True, kw_only=True):
    """All prices of the merchant; the highest version counts."""

    id: str
    object: Literal["routing_tariffs"]
    version: int
    document: dict[str, Any]
    author: str
    notes: str
    created_at: Moment


class RoutingTariffsList(Listed, frozen=True, kw_only=True):
    data: list[RoutingTariffs]


class RoutingSwitch(Answered, frozen=True, kw_only=True):
    """`counts`: it was not ended, and its time is not over. Only new authorizations ask for it."""

    id: str
    object: Literal["routing_switch"]
    connector_account: str
    account_name: str
    state: SwitchState
    when: dict[str, Any]
    reason: str
    counts: bool
    author: str
    created_at: Moment
    expires_at: Moment | None
    ended_at: Moment | None
    ended_by: str | None


class RoutingSwitchList(Listed, frozen=True, kw_only=True):
    data: list[RoutingSwitch]


class UnmappedDecline(Answered, frozen=True, kw_only=True):
    """`payment` is the latest of them. `suggestion`: what the issuer's code says; `mapped`: what the code means to this
    release, where a later one has mapped it."""

    object: Literal["unmapped_decline"]
    connector: str
    code: str
    network_code: str | None
    brand: str | None
    declines: int
    first_seen: Moment
    last_seen: Moment
    payment: str
    suggestion: str | None
    mapped: str | None


class UnmappedDeclineList(Listed, frozen=True, kw_only=True):
    data: list[UnmappedDecline]


class AuthenticationForeseen(Answered, frozen=True, kw_only=True):
    """What would be asked, of a card of which nothing is counted and a payer who can be sent to 3-D Secure. `payer`: he
    has to be there, so the payment would be refused. `notice_by`: when he had to be told of the debit."""

    ask: Annotated[str, Meta(extra_json_schema={"enum": ["nothing", "exemption", "challenge", "payer"]})]
    because: str
    source: str
    exemption: str | None
    liability: Annotated[str, Meta(extra_json_schema={"enum": ["merchant", "issuer"]})]
    notice_by: Moment | None


class RoutingExplanation(Answered, frozen=True, kw_only=True):
    """`accounts` are eligible, the likeliest first; `excluded` says why the others are not. Of `scores`, values are in
    minor units, costs in billionths of one. `terms`: what a refusing account's terms miss in the payment.
    `authentication`: by account, where the policy chooses."""

    object: Literal["routing_explanation"]
    policy: str | None
    way: str
    because: str
    accounts: list[str]
    scores: list[dict[str, Any]]
    excluded: dict[str, str]
    rules: list[str]
    terms: dict[str, list[list[str]]]
    authentication: dict[str, AuthenticationForeseen]
