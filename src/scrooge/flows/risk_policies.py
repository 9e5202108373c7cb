"""What people do about risk policies: draft one, have it checked, activate it, go back, ask what it would say."""

from collections.abc import Mapping
from typing import Any

import msgspec

from scrooge.errors import ActivePolicyChanged, InvalidField, NotFound, Problem, RiskPolicyRefused
from scrooge.flows.policy_checks import PLACE
from scrooge.flows.risking import About, suspect_of
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.webhooks import loopback_allowed
from scrooge.postgres.database import redone
from scrooge.risk.check import Tally, Verdict, asks, check
from scrooge.risk.policy import Policy, lint, rules_of
from scrooge.storage import policies as shared
from scrooge.storage import risk
from scrooge.storage.directory import Principal, note
from scrooge.storage.instruments import Instrument
from scrooge.storage.policies import Desk
from scrooge.storage.risk import Version
from scrooge.urls import check_endpoint


def parsed(document: Any) -> Policy:
    """A policy that holds together by itself. Raises RiskPolicyRefused."""
    if b"\\u0000" in msgspec.json.encode(document):  # PostgreSQL cannot keep it.
        refuse([("", "a text has no control characters")])
    try:
        policy = msgspec.convert(document, Policy)
    except msgspec.ValidationError as error:
        said = PLACE.fullmatch(str(error))
        assert said is not None
        refuse([(said[2] or "", said[1])])
        raise
    refuse(list(lint(policy)))
    return policy


def refuse(findings: list[tuple[str, str]]) -> None:
    """Raises RiskPolicyRefused when there is a finding."""
    if not findings:
        return
    place, problem = findings[0]
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    told = [{"place": place, "problem": problem} for place, problem in findings]
    words = f"the policy cannot be used: {f'{place}: ' if place else ''}{problem}{more}"
    raise RiskPolicyRefused(words, findings=told)


async def usable(s: Scrooge, desk: Desk, policy: Policy) -> None:
    """May its service be called from here, and is its secret there? Raises RiskPolicyRefused."""
    service = policy.service
    if service is None:
        return
    loopback = loopback_allowed(s, desk.livemode)
    try:
        check_endpoint(service.url, loopback=loopback)
        await (s.risk.asker.local if loopback else s.risk.asker.public).check(service.url, "url")
    except Problem as problem:
        refuse([("service.url", problem.detail)])
    try:
        s.directory.sealer.resolve(service.secret)
    except Problem as problem:
        refuse([("service.secret", problem.detail)])


@redone
async def draft(s: Scrooge, desk: Desk, document: Any, notes: str) -> tuple[Version, bool]:
    """(the version, whether it is new). Raises RiskPolicyRefused."""
    policy = parsed(document)
    await usable(s, desk, policy)
    async with s.db.transaction() as connection:
        await shared.begin(connection)
        policy_id, new = await risk.draft(connection, desk, policy, notes)
        if new:
            await note(connection, desk.author, "risk_policy_drafted", policy_id, {"name": policy.name})
    return await read(s, desk, policy_id), new


async def read(s: Scrooge, desk: Desk, policy_id: str) -> Version:
    """Raises NotFound."""
    found = await risk.policies(s.db, desk, one=policy_id)
    if not found:
        raise NotFound("no such risk policy")
    return found[0]


async def activate(s: Scrooge, desk: Desk, policy_id: str, expected: str | None, reason: str) -> Version:
    """Said twice, it is the same answer. Raises NotFound, ActivePolicyChanged, RiskPolicyRefused."""
    await usable(s, desk, parsed((await read(s, desk, policy_id)).document))
    await turn(s, desk, policy_id, "activation", reason, expected=(expected,))
    return await read(s, desk, policy_id)


async def roll_back(s: Scrooge, desk: Desk, policy_id: str | None, reason: str) -> Version | None:
    """To one that was active before, or to none: nothing is checked. The way back does not depend on a service.

    Raises NotFound, InvalidField, RiskPolicyRefused.
    """
    if policy_id is not None:
        version = await read(s, desk, policy_id)
        parsed(version.document)
        if version.activated_at is None:
            raise InvalidField("it was never active: activate it instead", param="to")
    await turn(s, desk, policy_id, "rollback", reason)
    return None if policy_id is None else await read(s, desk, policy_id)


@redone
async def turn(
    s: Scrooge, desk: Desk, to: str | None, kind: str, reason: str, expected: tuple[str | None] | None = None
) -> None:
    """The next line of the history, unless it would change nothing. Raises ActivePolicyChanged."""
    async with s.db.transaction() as connection:
        await shared.begin(connection)
        before = await risk.active(connection, desk)
        if before[0] != to:
            if expected is not None and before[0] != expected[0]:
                words = f"active is {before[0] or 'no policy'}"
                raise ActivePolicyChanged(words, param="expect_active", active=before[0])
            await risk.activate(connection, desk, to, before, kind, reason)
            detail = {"from": before[0], "to": to, "reason": reason}
            await note(connection, desk.author, f"risk_policy_{kind}", to or before[0] or "", detail)
    await s.routing.refresh()


async def explain(
    s: Scrooge, who: Principal, desk: Desk, about: About, instrument: Instrument, policy_id: str | None
) -> tuple[str | None, Verdict | None, Mapping[str, Tally]]:
    """What the rules would say now of such a payment, and the counts by rule; the service is not asked.

    By the active policy, or by any version. Raises NotFound, RiskUnavailable, RiskPolicyRefused.
    """
    if policy_id is not None:
        rules = rules_of(parsed((await read(s, desk, policy_id)).document), policy_id)
    else:
        counts = s.risk.active.policy(who.merchant, who.livemode)
        if counts is None:
            return None, None, {}
        rules = counts.rules
    suspect = suspect_of(s, who, about, instrument)
    tallies = s.risk.recent.tallies(asks(rules, suspect), suspect)
    counted = {f"{ask.of}, {ask.minutes} minutes": tally for ask, tally in tallies.items()}
    return rules.version, check(rules, suspect, tallies), dict(sorted(counted.items()))
