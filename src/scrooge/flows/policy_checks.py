"""Does what people write about routing hold together? Each fault with its place, and a payment that shows it."""

import asyncio
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from scrooge.domain.attempt import Operation
from scrooge.errors import PolicyRefused, TariffsRefused
from scrooge.flows.scrooge import Scrooge
from scrooge.money import decimal, exponent_of
from scrooge.routing.facts import Facts
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.lint import Finding, lint, stranded
from scrooge.routing.policy.plan import Compiled
from scrooge.storage.access import find_caller
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.policies import Desk, Version

SHOWN_MOST = 100  # findings in an answer
PLACE = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$\.?(.*)`)?", re.DOTALL)


def parsed(document: Any, kind: type[Any] = Policy) -> Any:
    """Raises PolicyRefused (or TariffsRefused) for what the schema does not know, with the place."""
    if b"\\u0000" in msgspec.json.encode(document):  # PostgreSQL cannot keep it.
        refuse([Finding("", "a text has no control characters")], kind)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        said = PLACE.fullmatch(str(error))
        assert said is not None
        refuse([Finding(said[2] or "", said[1])], kind)
        raise


def refuse(findings: Iterable[Finding], kind: type[Any] = Policy) -> None:
    """Raises PolicyRefused or TariffsRefused when there is a finding; of very many it shows the first."""
    found = list(findings)
    if not found:
        return
    told = [shown(f) for f in found[:SHOWN_MOST]]
    problem, what = (PolicyRefused, "the policy") if kind is Policy else (TariffsRefused, "the prices")
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    place = f"{told[0]['place']}: " if told[0]["place"] else ""
    raise problem(f"{what} cannot be used: {place}{told[0]['problem']}{more}", findings=told)


def shown(finding: Finding) -> dict[str, Any]:
    payment = None if finding.payment is None else payment_shown(finding.payment)
    return {"place": finding.place, "problem": finding.problem, "payment": payment}


def payment_shown(facts: Facts) -> dict[str, Any]:
    """What is known of it, in the words of the API."""
    value = decimal(facts.minor, exponent_of(facts.currency))
    words = msgspec.to_builtins(facts)
    rest = {k: v for k, v in words.items() if v and k not in {"currency", "minor", "at", "needs"}}
    return {"amount": {"value": value, "currency": facts.currency}, **rest}


async def findings(s: Scrooge, work: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """In a thread, one at a time: a policy may have a hundred thousand cases, and payments share the processor."""
    async with s.routing.checking:
        return await asyncio.to_thread(lambda: list(work()))


async def compiled(s: Scrooge, policy: Policy, outer: Compiled | None = None) -> Compiled:
    """In a thread, too: of a large policy it takes seconds, and payments would wait for them."""
    async with s.routing.checking:
        return await asyncio.to_thread(Compiled, policy, outer)


async def names(s: Scrooge, desk: Desk) -> frozenset[str]:
    """The accounts that a policy may name: those that can take a payment, in the key's mode."""
    return frozenset(a.name for a in await accounts(s, desk))


async def accounts(s: Scrooge, desk: Desk) -> list[ConnectorAccount]:
    found = [a for a in await s.directory.accounts(desk.merchant) if a.livemode is desk.livemode]
    return [a for a in found if Operation.AUTHORIZE in s.connectors[a.connector].endpoints]


async def check(s: Scrooge, desk: Desk, policy: Policy) -> str | None:
    """The id of the caller whose payments it is for. Raises PolicyRefused."""
    if policy.merchant not in (None, desk.merchant_name):
        refuse([Finding("merchant", "this is another merchant: leave it out, or name the key's own")])
    caller = None
    if policy.caller is not None:
        caller = await find_caller(s.db, desk.merchant, policy.caller)
        if caller is None:
            refuse([Finding("caller", f"there is no caller {policy.caller!r}")])
    known = await names(s, desk)
    refuse(await findings(s, lambda: lint(policy, known)))
    return caller


async def check_together(s: Scrooge, desk: Desk, version: Version) -> dict[str | None, str]:
    """The policy within the merchant's, or around those of callers, as they are active: those, by caller.

    Raises PolicyRefused.
    """
    whose = desk.merchant, desk.livemode
    active = {c: policy for (m, live, c), policy in s.routing.active.items() if (m, live) == whose}
    mine = {c: p for (m, live, c), p in s.routing.compiled.items() if (m, live) == whose}
    own, everybodys = await compiled(s, version.policy), version.caller is None
    others = [p for c, p in mine.items() if p is not None and (c is None) is not everybodys]
    for other in others:
        pair = await (compiled(s, other.policy, own) if everybodys else compiled(s, own.policy, other))
        refuse(await findings(s, partial(stranded, pair)))
    return active
