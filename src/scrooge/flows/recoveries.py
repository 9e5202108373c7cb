"""Means beside the timetable: something newer is looked for, or the payer is waited for; what is found, is scheduled.

A turn here asks nobody for money. It takes the payment's next step, and that step's own turn makes the attempt: so
what was found is committed before it is used, and whoever dies between the two has lost nothing.
"""

from collections.abc import Callable
from typing import Any

import structlog
from msgspec import structs

from scrooge.crash import reach
from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Means, Phase, Retry, Why
from scrooge.domain.retry import Stop
from scrooge.flows.perform import keep
from scrooge.flows.recovery import planned
from scrooge.flows.scrooge import Scrooge, now
from scrooge.postgres.database import redone
from scrooge.storage import mandates, payments
from scrooge.storage import retries as queue
from scrooge.storage.retries import LOOK_SECONDS, Due

log = structlog.get_logger()


@redone
async def stepped(s: Scrooge, payment_id: str, step: Retry, onward: Callable[[Payment], Payment]) -> Payment | None:
    """Takes the next step under the payment's lock. None: somebody else has taken it."""
    async with s.turn(payment_id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        if current is None or current.retry != step:
            return None
        after = onward(current)
        return current if after == current else await keep(s, connection, current, after)


async def replaced(s: Scrooge, p: Payment, step: Retry) -> bool:
    """The payer has given the mandate another card since the last attempt: that one is tried at once, and once."""
    if step.phase is Phase.OPEN or p.mandate is None or step.control:
        return False
    if step.phase is Phase.SCHEDULED and step.means is Means.CUSTOMER:
        return False
    m = (await mandates.read_many(s.db, [p.mandate])).get(p.mandate)
    if m is None or m.revoked is not None or m.instrument == p.instrument:
        return False
    return await soon(s, p, step, Means.CUSTOMER, "the payer gave another card")


async def soon(s: Scrooge, p: Payment, step: Retry, means: Means, because: str, **facts: Any) -> bool:
    """By this means, at the next turn; False: its time is over."""
    at = now()
    if p.retry_until is None or at > p.retry_until:
        return False
    facts |= {"number": step.number, "decline": step.decline, "means": means, "at": at}
    reach("recovery.found")
    await stepped(s, p.id, step, lambda current: current.stepping(Phase.SCHEDULED, because, **facts))
    return True


async def looked(s: Scrooge, p: Payment, step: Retry, due: Due) -> bool:
    """Whether there is something newer than what was declined. False: nobody could say, and it is asked again."""
    assert step.means is not None
    reach("recovery.looked")
    await stepped(s, p.id, step, lambda current: nothing_newer(s, current))
    return True


def nothing_newer(s: Scrooge, p: Payment) -> Payment:
    """On to the next means: this one can do no more."""
    assert p.retry is not None
    assert p.retry.means is not None
    spent = structs.replace(p.retry, spent=(*p.retry.spent, p.retry.means))
    return planned(s, structs.replace(p, retry=spent))


async def waited(s: Scrooge, p: Payment, step: Retry, due: Due) -> bool:
    """The payer was waited for; False: they have time left."""
    assert p.retry_until is not None
    if now() < p.retry_until:
        await queue.again(s.db, due, min(LOOK_SECONDS, (p.retry_until - now()) / 1_000_000 + 1))
        return False
    over = Stop("the payer did nothing before the deadline", Why.DEADLINE)
    await stepped(s, p.id, step, lambda current: ended(current, over))
    return True


def ended(p: Payment, stop: Stop) -> Payment:
    return p.stepping(Phase.LOST, stop.because, why=stop.why)
