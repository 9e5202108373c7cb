"""Means beside the timetable: something newer is looked for, or the payer is waited for; what is found, is scheduled.

A turn here asks nobody for money. It takes the payment's next step, and that step's own turn makes the attempt: so
what was found is committed before it is used, and whoever dies between the two has lost nothing.
"""

from collections.abc import Callable
from typing import Any

import structlog
from msgspec import structs

from scrooge.crash import reach
from scrooge.domain.payment import Payment, authorization_of
from scrooge.domain.recovery import Means, Phase, Retry, Why
from scrooge.domain.retry import Stop
from scrooge.flows import refresh
from scrooge.flows.perform import keep
from scrooge.flows.recovery import planned
from scrooge.flows.scrooge import Scrooge, now
from scrooge.postgres.database import redone
from scrooge.storage import errands, instruments, mandates, payments, recoveries
from scrooge.storage import retries as queue
from scrooge.storage.instruments import Instrument
from scrooge.storage.retries import LOOK_SECONDS, Due

log = structlog.get_logger()
LOOKS_MAX = 6  # at who may know of a newer card and does not answer: some ten minutes
VAULT_SECONDS = 2.0  # until the vault has heard of a newer expiry


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
    own = p.own_mandate
    if step.phase is Phase.OPEN or own is None:
        return False
    m = (await mandates.read_many(s.db, [own])).get(own)
    if m is not None and m.revoked is not None and (step.phase is not Phase.SCHEDULED or step.mandate is not None):
        gone = Stop("the mandate was revoked", Why.WITHDRAWN)
        await stepped(s, p.id, step, lambda current: ended(current, gone))
        return True
    if m is None or m.revoked is not None or step.control:
        return False
    if m.instrument == (await recoveries.own_instrument(s.db, p.id) or p.instrument):
        return False
    given = m.earlier[-1].until if m.earlier else 0
    if given <= (step.card_at or 0):  # It was its turn; and where no attempt came of it, none may.
        return False
    return await soon(s, p, step, Means.CUSTOMER, "the payer gave another card", spent=(), card_at=given)


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
    reach("recovery.looked")
    in_time = p.retry_until is not None and now() < p.retry_until
    if step.means is Means.REFRESH and in_time:
        found = await renewed(s, p, step, due)
        if found is not None:
            return found
    if step.means is Means.OTHER_MANDATE and in_time and (m := await mandates.fallback(s.db, p.id)) is not None:
        return await soon(s, p, step, Means.OTHER_MANDATE, "another mandate of the payer may pay it", mandate=m.id)
    await stepped(s, p.id, step, lambda current: nothing_newer(s, current))
    return True


async def renewed(s: Scrooge, p: Payment, step: Retry, due: Due) -> bool | None:
    """None: whoever may know of a newer card has said that there is none, or does not answer."""
    instrument = await held(s, p)
    if instrument is None:
        return None
    if not newer(p, instrument):
        answered = await refresh.asked(s, instrument)
        instrument = await held(s, p)
        if instrument is None or not newer(p, instrument):
            return None if answered or due.claims >= LOOKS_MAX else False
    if instrument.vault and not instrument.credentials and await errands.renewing(s.db, instrument.id):
        await queue.again(s.db, due, VAULT_SECONDS)
        return False
    return await with_newer(s, p, step, instrument)


async def held(s: Scrooge, p: Payment) -> Instrument | None:
    """What it is paid with under its own mandate, or without one; unless that was deleted."""
    own = await recoveries.own_instrument(s.db, p.id) or p.instrument
    return (await instruments.read(s.db, [own])).get(own) if own else None


async def with_newer(s: Scrooge, p: Payment, step: Retry, instrument: Instrument) -> bool:
    spent = tuple(dict.fromkeys((*step.spent, Means.REFRESH)))
    return await soon(s, p, step, Means.REFRESH, "a newer card is known", spent=spent, card_at=instrument.renewed_at)


def newer(p: Payment, instrument: Instrument) -> bool:
    """Than the card that the last attempt was made with, and not tried yet."""
    a = authorization_of(p)
    if a is None or p.retry is None:
        return False
    return (instrument.renewed_at or 0) > max(a.sent_at, p.retry.card_at or 0)


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
        instrument = await held(s, p)
        if instrument is None:
            gone = Stop("the instrument was deleted", Why.WITHDRAWN)
            await stepped(s, p.id, step, lambda current: ended(current, gone))
            return True
        if newer(p, instrument):
            return await with_newer(s, p, step, instrument)
        await queue.again(s.db, due, min(LOOK_SECONDS, (p.retry_until - now()) / 1_000_000 + 1))
        return False
    over = Stop("the payer did nothing before the deadline", Why.DEADLINE)
    await stepped(s, p.id, step, lambda current: ended(current, over))
    return True


def ended(p: Payment, stop: Stop) -> Payment:
    return p.stepping(Phase.LOST, stop.because, why=stop.why)
