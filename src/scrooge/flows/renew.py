"""One more authorization of a payment whose last one has ended: by its caller, or by a retry."""

from msgspec import structs

from scrooge.connectors.connector import Request
from scrooge.crash import reach
from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Phase, Retry, Why, over
from scrooge.flows import announce
from scrooge.flows.attempts import attempted
from scrooge.flows.keys import Keyed, guard_of
from scrooge.flows.perform import change_of
from scrooge.flows.risking import Checked
from scrooge.flows.route import Routed
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.database import redone
from scrooge.storage import changes, payments
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.low_value import LowValueUsedUp


async def recorded_again(
    s: Scrooge, principal: Principal, p: Payment, instrument: Instrument, keyed: Keyed | None,
    route: Routed, account: str, behind: tuple[str, ...], step: Retry | None = None, risk: Checked | None = None,
) -> tuple[Payment, Request] | None:  # fmt: skip
    """Decides under the lock and commits the attempt. None: the key was used meanwhile, or the step was taken.

    `step` is that of a retry, which has no key: its next step says that it was made. A caller's own ends them all.
    Once more where the card's low-value payments are used up.
    """
    known = (s, principal, p, instrument, keyed, route, account, behind, step, risk or Checked(s))
    try:
        return await renewed(*known)
    except LowValueUsedUp:
        return await renewed(*known, used_up=True)


@redone
async def renewed(
    s: Scrooge, principal: Principal, p: Payment, instrument: Instrument, keyed: Keyed | None,
    route: Routed, account: str, behind: tuple[str, ...], step: Retry | None, risk: Checked, *, used_up: bool = False,
) -> tuple[Payment, Request] | None:  # fmt: skip
    """Raises LowValueUsedUp."""
    payment_id = p.id
    async with s.turn(p.id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        assert current is not None
        if step is not None and current.retry != step:
            return None
        paying = current.mandate if step is not None else current.own_mandate  # A caller's own is under its own.
        begun = structs.replace(current, accounts=behind, answered=False, instrument=instrument.id, mandate=paying)
        after, request = await attempted(
            s, begun, instrument, account, authenticate=risk.authenticate, low_risk=risk.clean, used_up=used_up
        )
        attempt_id = after.attempts[-1].id
        after = stepped(after, step)
        if keyed is not None:
            guard = guard_of(principal, keyed)
            deadline = after.deadline_at
            if not await payments.claim_key(connection, guard, principal.caller, payment_id, attempt_id, deadline):
                return None
            s.limits.check(keyed.until)
        reach("record.before")
        why = {attempt_id: route.record(s, account, risk.kept)}
        change = await change_of(s, current, after, {attempt_id: request}, why)
        if risk.wants_review:
            change = structs.replace(change, events=(*change.events, announce.review(after, risk.kept)))
        await changes.save(connection, [change])
        reach("record.written")
    reach("record.after")
    route.left(s, payment_id)
    risk.recorded(payment_id)
    return structs.replace(after, version=current.version + 1), request


def stepped(p: Payment, step: Retry | None) -> Payment:
    """With the step that goes with its new attempt."""
    a = p.attempts[-1]
    if step is not None:
        return p.stepping(Phase.MADE, "tried again", attempt=a.id, round=step.round + 1)
    if p.retry_until is None or over(p.retry):
        return p
    return p.stepping(Phase.CANCELED, "the caller authorized it again", why=Why.WITHDRAWN)
