"""Where a payment would go just now, and why: nothing is recorded, and nothing is sent."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from scrooge.errors import InvalidField
from scrooge.flows import policies
from scrooge.flows.authentication import foreseen
from scrooge.flows.policy_checks import accounts, compiled, parsed
from scrooge.flows.route import candidates, misfit
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.authenticating import Known, settings_of
from scrooge.routing.authentication import Choice
from scrooge.routing.choose import Candidate, choose
from scrooge.routing.decide import decide
from scrooge.routing.decision import Knowledge
from scrooge.routing.explain import explained
from scrooge.routing.facts import VOCABULARY, Facts, Kind
from scrooge.routing.policy.plan import Compiled
from scrooge.storage.instruments import Instrument
from scrooge.storage.policies import Desk


class Explanation(Struct, frozen=True, kw_only=True):
    """`accounts` are eligible, the likeliest first; `excluded` says why the others are not; `scores` as recorded."""

    policy: str | None
    way: str
    because: str
    accounts: list[str]
    scores: list[dict[str, Any]]
    excluded: dict[str, str]
    rules: list[str]
    authentication: dict[str, Choice]  # by eligible account; empty where no policy chooses
    terms: dict[str, list[list[str]]]  # of an account whose terms refuse it: the words that each condition misses


async def explain(
    s: Scrooge, desk: Desk, facts: Facts, instrument: Instrument | None, only: str | None, policy_id: str | None,
    caller_id: str, low_risk: bool = False,
) -> Explanation:  # fmt: skip
    """By the active policy, or by any version. Raises NotFound, InvalidField, RoutingUnavailable, PolicyRefused."""
    check(facts)
    policy = s.routing.policy(desk.merchant, caller_id, desk.livemode)
    if policy_id is not None:
        policy = await of_version(s, desk, policy_id)
    some = await (candidates(s, instrument, facts) if instrument is not None else everywhere(s, desk, facts))
    if policy is None:
        route = choose(some, desk.livemode, only)
        names = {c.account: c.name for c in some}
        excluded = {name: why for name, why in route.considered.items() if why != "eligible"}
        return Explanation(policy=None, way="listed", because="no policy is active: in the order of the instrument",
                           accounts=[names[a] for a in route.accounts], scores=[], excluded=excluded, rules=[],
                           terms={}, authentication={})  # fmt: skip
    used = s.learning.volumes.usage((desk.merchant, desk.livemode), policy.bounds, some, facts.currency, facts.at)
    knowledge = structs.replace(knowledge_of(s, desk.merchant, desk.livemode), volumes=used)
    decision = decide(facts, policy, some, knowledge, 0.0, only=only)
    found = explained(decision, facts, policy, knowledge)
    scores = sorted(found["scores"], key=lambda score: (-score["share"], -score["value"]))
    return Explanation(policy=found["policy"], way=found["way"], because=found["because"],
                       accounts=[score["name"] for score in scores], scores=scores, excluded=found["excluded"],
                       rules=found["rules"], terms=found["terms"],
                       authentication=asked_at(s, policy, facts, decision.accounts, low_risk))  # fmt: skip


def asked_at(s: Scrooge, policy: Compiled, facts: Facts, accounts: Sequence[str], low_risk: bool) -> dict[str, Choice]:
    """What would be asked of the payer or the issuer at each; as if the payer could be sent to 3-D Secure and back."""
    settings = settings_of(policy)
    if settings is None:
        return {}
    found = {}
    for account in filter(None, map(s.directory.by_id.get, accounts)):
        connector = s.connectors[account.connector]
        there = facts.initiator == "customer" and connector.authenticates
        known = Known(
            acquirer_country=account.acquirer_country or "", issuer_country=facts.country, minor=facts.minor,
            currency=facts.currency, at=facts.at, challengeable=there, low_risk=low_risk,
            initiator="merchant" if facts.initiator == "merchant" else "customer",
        )  # fmt: skip
        found[account.name] = foreseen(settings, account.name, known, connector)
    return found


def check(facts: Facts) -> None:
    """Raises InvalidField for a value that the fact cannot have."""
    for word in VOCABULARY.values():
        if word.kind is not Kind.AMOUNT and not word.takes(given := getattr(facts, word.name)) and given:
            raise InvalidField(f"that is no {word.name}", param=f"payment.{word.name}")


async def of_version(s: Scrooge, desk: Desk, policy_id: str) -> Compiled:
    version = await policies.read(s, desk, policy_id)
    policy = parsed(version.document)
    outer = s.routing.compiled.get((desk.merchant, desk.livemode, None)) if version.caller is not None else None
    return await compiled(s, policy, outer)


async def everywhere(s: Scrooge, desk: Desk, facts: Facts) -> list[Candidate]:
    """Every account of the merchant, as if the instrument were known at all of them."""
    return [
        Candidate(
            account=a.id,
            name=a.name,
            active=a.state == "active",
            livemode=a.livemode,
            can_authorize=True,
            pressure=s.limits.pressure(a.id),
            misfit=misfit(s, a, facts),
        )
        for a in await accounts(s, desk)
    ]


def knowledge_of(s: Scrooge, merchant: str, livemode: bool) -> Knowledge:
    """What this process knows: prices and switches, approvals and health."""
    learned = s.learning.of(merchant, livemode)
    return Knowledge(
        estimates=learned.estimates,
        costs=s.routing.costs(merchant, livemode),
        health=learned.health,
        shares=learned.shares,
        manual=s.routing.manual(merchant, livemode),
        livemode=livemode,
    )


def with_instrument(facts: Facts, instrument: Instrument) -> Facts:
    """What is known of its card, where the question does not say otherwise."""
    brand, iin = facts.brand or instrument.brand or "", facts.iin or instrument.iin or ""
    return structs.replace(facts, brand=brand, iin=iin, instrument=instrument.id)
