"""What people do about routing policies: draft one, have it checked, activate it, go back.

Each change is one transaction with its audit row, and this process knows it at once, the others within a second.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scrooge.errors import ActivePolicyChanged, InvalidField, NotFound
from scrooge.flows.policy_checks import check, check_together, parsed
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.database import redone
from scrooge.routing.matcher import TooEntangled
from scrooge.routing.policy.diff import Change, Moved, changes, moved
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.plan import Compiled
from scrooge.storage import policies
from scrooge.storage.access import find_caller
from scrooge.storage.directory import note
from scrooge.storage.policies import Desk, Version

TURNS_MOST = 5  # checks beside others that change meanwhile


class Diff(Struct, frozen=True):
    """`moved` None: too many cases to try."""

    changes: list[Change]
    moved: list[Moved] | None


@redone
async def draft(s: Scrooge, desk: Desk, document: Any, notes: str) -> tuple[Version, bool]:
    """(the version, whether it is new). Raises PolicyRefused."""
    policy: Policy = parsed(document)
    caller = await check(s, desk, policy)
    async with s.db.transaction() as connection:
        await policies.begin(connection)
        policy_id, new = await policies.draft(connection, desk, policy, caller, notes)
        if new:
            await note(connection, desk.author, "routing_policy_drafted", policy_id, {"name": policy.name})
    return await read(s, desk, policy_id), new


async def read(s: Scrooge, desk: Desk, policy_id: str) -> Version:
    """Raises NotFound."""
    found = await policies.policies(s.db, desk, one=policy_id)
    if not found:
        raise NotFound("no such routing policy")
    return found[0]


async def activate(s: Scrooge, desk: Desk, policy_id: str, expected: str | None, reason: str) -> Version:
    """Said twice, it is the same answer. Raises NotFound, ActivePolicyChanged, PolicyRefused."""
    version = await checked(s, desk, policy_id)
    for _ in range(TURNS_MOST):
        await s.routing.refresh()
        beside = await check_together(s, desk, version)
        known = {caller: policy for caller, policy in beside.items() if caller != version.caller_id}
        if await turn(s, desk, version.caller_id, version.id, "activation", reason, expected=(expected,), beside=known):
            return await read(s, desk, policy_id)
    raise ActivePolicyChanged("other policies were activated again and again while this one was checked beside them")


async def roll_back(s: Scrooge, desk: Desk, policy_id: str | None, caller: str | None, reason: str) -> Version | None:
    """To one that was active before, whatever is now; or to none, for everybody's payments or those of `caller`.

    What callers made of their own since then does not keep a merchant from going back: what they leave nothing to
    choose from is told as no_route.

    Raises NotFound, InvalidField, PolicyRefused.
    """
    if policy_id is None:
        whose = None if caller is None else await find_caller(s.db, desk.merchant, caller)
        if caller is not None and whose is None:
            raise InvalidField("there is no such caller", param="caller")
        await turn(s, desk, whose, None, "rollback", reason)
        return None
    version = await checked(s, desk, policy_id)
    if version.activated_at is None:
        raise InvalidField("it was never active: activate it instead", param="to")
    await turn(s, desk, version.caller_id, version.id, "rollback", reason)
    return await read(s, desk, policy_id)


async def checked(s: Scrooge, desk: Desk, policy_id: str) -> Version:
    """The version, which still holds together: it may have been written for another version of Scrooge."""
    version = await read(s, desk, policy_id)
    await check(s, desk, parsed(version.document))
    return version


async def compare(s: Scrooge, desk: Desk, policy_id: str, base_id: str | None) -> tuple[str | None, Diff]:
    """(the base, what changes); without a base from what is active for the same payments. Raises NotFound."""
    version = await read(s, desk, policy_id)
    if base_id is None:
        base_id, _ = await policies.active(s.db, desk, version.caller_id)
    if base_id is None:
        raise NotFound("no policy is active to compare with: name one with base")
    old: Policy = parsed((await read(s, desk, base_id)).document)
    new: Policy = parsed(version.document)

    def work() -> Diff:
        try:
            return Diff(changes(old, new), moved(Compiled(old), Compiled(new)))
        except TooEntangled:
            return Diff(changes(old, new), None)

    async with s.routing.checking:
        return base_id, await asyncio.to_thread(work)


@redone
async def turn(
    s: Scrooge, desk: Desk, caller: str | None, to: str | None, kind: str, reason: str,
    expected: tuple[str | None] | None = None, beside: Mapping[str | None, str] | None = None,
) -> bool:  # fmt: skip
    """The next line of the history, unless it would change nothing. Raises ActivePolicyChanged.

    `beside`: the others that it was checked with, by caller. False: they are not those that are active, and nothing was
    changed.
    """
    async with s.db.transaction() as connection:
        await policies.begin(connection)
        before = await policies.active(connection, desk, caller)
        if before[0] != to:
            if expected is not None and before[0] != expected[0]:
                raise ActivePolicyChanged(
                    f"active is {before[0] or 'no policy'}", param="expect_active", active=before[0]
                )
            if beside is not None and beside != await others(connection, desk, caller):
                return False
            await policies.activate(connection, desk, caller, to, before, kind, reason)
            detail = {"from": before[0], "to": to, "reason": reason}
            await note(connection, desk.author, f"routing_policy_{kind}", to or before[0] or "", detail)
    await s.routing.refresh()
    return True


async def others(connection: Any, desk: Desk, caller: str | None) -> dict[str | None, str]:
    """The active policies of other scopes, as nobody can change them until this transaction ends."""
    found = await policies.all_active(connection, desk)
    return {whose: policy for whose, policy in found.items() if whose != caller}
