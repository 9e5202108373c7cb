"""Later retries: a step that was scheduled becomes one attempt, once, on the road that every authorization travels.

The attempt and the step that says it was made are one transaction. Whoever dies before it has lost a turn; whoever
dies after it has left an attempt, whose outcome is found out like any other's.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from msgspec import structs

from scrooge.crash import reach
from scrooge.domain.attempt import OPEN, Attempt, State
from scrooge.domain.mandate import Mandate
from scrooge.domain.payment import Payment, authorization_of
from scrooge.domain.recovery import WAITING, Phase, Retry, Why, over
from scrooge.domain.retry import Stop
from scrooge.errors import (
    AuthenticationRequired,
    DatabaseUnavailable,
    MandateRevoked,
    NoRoute,
    Problem,
    ReattemptRefused,
    UnknownInstrument,
)
from scrooge.flows import mandates
from scrooge.flows.authorize import instrument_of, visible
from scrooge.flows.cascade import through
from scrooge.flows.perform import keep
from scrooge.flows.recoveries import looked, replaced, stepped, waited
from scrooge.flows.recovery import late, planned, put_off
from scrooge.flows.renew import recorded_again
from scrooge.flows.risking import Checked, checked, suspected_again
from scrooge.flows.route import asked_again, route_of, usable
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.database import redone
from scrooge.postgres.rows import microseconds
from scrooge.storage import payments
from scrooge.storage import retries as queue
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.retries import Due

log = structlog.get_logger()
LEASE_SECONDS = 60.0  # for what comes before the record: nothing of it asks a PSP
ENDED_BADLY = frozenset({State.DECLINED, State.REJECTED})
WENT_BACK = frozenset({State.REVERSING, State.REVERSED})  # A decline that was none: the PSP had taken the money.


async def run(s: Scrooge, due: Due) -> None:
    """One turn of a step. What cannot be done now comes back by itself, until the caller's time is over."""
    reach("retry.claimed")
    p = await payments.read(s.db, due.payment)
    step = p.retry if p is not None else None
    if p is None or step is None or step.seq != due.seq:
        await queue.done(s.db, due)
        return
    await s.directory.refresh()
    if await replaced(s, p, step) or await TURNS[step.phase](s, p, step, due):
        await queue.done(s.db, due)


async def opened(s: Scrooge, p: Payment, step: Retry, due: Due) -> bool:
    """Whoever might have asked elsewhere has not, and its time is over: what follows is decided now."""

    def onward(current: Payment) -> Payment:
        a = authorization_of(current)
        waits = a is not None and a.number == step.number and a.state in ENDED_BADLY | WENT_BACK
        return planned(s, structs.replace(current, answered=True)) if waits else current

    await stepped(s, p.id, step, onward)
    return True


async def tried(s: Scrooge, p: Payment, step: Retry, due: Due) -> bool:
    """Records and sends the retry; False: not now, and nothing was used up."""
    moved = late(s, p)
    if moved is not None:
        return await instead(s, p, step, moved)
    name = await s.directory.caller_name(p.caller)
    principal = Principal("", p.merchant, due.merchant, p.caller, name, frozenset(), p.livemode)
    instrument: Instrument | None = None
    try:
        mandate = await mandates.of_payment(s, principal, p)
        paid_by = mandate.instrument if mandate else p.instrument  # It may have another card by now.
        instrument = await instrument_of(s, principal, paid_by or "", p.customer)
        instrument = mandates.paid_with(instrument, mandate)
        with await checked(s, principal, suspected_again(p, None, None), instrument, None) as risk:
            if risk.blocks:
                return await instead(s, p, step, Stop(blocked_because(risk), Why.REFUSED))
            await asked_for(s, principal, p, instrument, step, risk, mandate)
    except MandateRevoked:
        return await instead(s, p, step, Stop("the mandate was revoked", Why.WITHDRAWN))
    except UnknownInstrument:
        return await instead(s, p, step, Stop("the instrument was deleted", Why.WITHDRAWN))
    except AuthenticationRequired as refused:  # Who has to be there is not, at no later moment either.
        return await instead(s, p, step, Stop(refused.detail, Why.REFUSED))
    except ReattemptRefused as refused:
        return await instead(s, p, step, refused_until(s, p, refused))
    except DatabaseUnavailable:
        raise
    except Problem as problem:
        if isinstance(problem, NoRoute) and instrument is not None and (gone := nothing_to_pay_with(instrument)):
            return await instead(s, p, step, Stop(gone))
        # AuthorizationLive is one of them: what was declined succeeded after all, and is on its way back.
        log.warning("retry_waits", payment=p.id, seq=step.seq, claims=due.claims, reason=problem.code)
        return False
    return True


async def asked_for(
    s: Scrooge, principal: Principal, p: Payment, instrument: Instrument, step: Retry, risk: Checked,
    mandate: Mandate | None,
) -> None:  # fmt: skip
    """Routed anew, but nowhere else than to the account that the payment asked for; recorded, and sent."""
    route = await route_of(s, principal, instrument, p.pinned, asked_again(p, mandate))
    slot, account, behind = await s.limits.first(route.accounts, None)
    with slot:
        recorded = await recorded_again(s, principal, p, instrument, None, route, account, behind, step, risk)
        if recorded is not None:
            after, request = recorded
            await through(s, after, instrument, request, slot, always=risk.authenticate)


def blocked_because(risk: Checked) -> str:
    said = "; ".join(f"{rule}: {because}" for rule, because in risk.reasons().items())
    return f"the risk check blocks it: {said}"


async def instead(s: Scrooge, p: Payment, step: Retry, moved: object) -> bool:
    """Another moment than was scheduled, or none."""
    await stepped(s, p.id, step, lambda current: planned(s, current, moved))  # type: ignore[arg-type]
    return True


def refused_until(s: Scrooge, p: Payment, refused: ReattemptRefused) -> object:
    until = refused.members["until"]
    if until is None:
        return Stop(refused.detail)
    at = microseconds(datetime.fromisoformat(str(until))) or 0
    return put_off(s, p, at, str(refused.members["rule"]))


def nothing_to_pay_with(instrument: Instrument) -> str | None:
    """No account can ever take it, whatever becomes of the accounts."""
    if instrument.credentials or instrument.vault or usable(instrument):
        return None
    token = instrument.network_token
    card = f"the card in the vault is {instrument.card_status}" if instrument.card_status else "the card is gone"
    return card + (f", and its network token is {token.status}" if token is not None else "")


TURNS: dict[Phase, Callable[[Scrooge, Payment, Retry, Due], Awaitable[bool]]] = {
    Phase.OPEN: opened,
    Phase.SCHEDULED: tried,
    Phase.LOOKING: looked,
    Phase.CUSTOMER: waited,
}


# --- the caller stops it ----------------------------------------------------------------------


async def cancel(s: Scrooge, principal: Principal, payment_id: str) -> Payment:
    """Nothing is tried again by itself any more; what is out at a PSP stays out. Doing it twice changes nothing."""
    p = await visible(s, principal, payment_id)
    return await stop(s, p.id, "the caller canceled it")


@redone
async def stop(s: Scrooge, payment_id: str, because: str) -> Payment:
    async with s.turn(payment_id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        assert current is not None
        if not stoppable(current, authorization_of(current)):
            return current
        # Whoever asks a PSP just now finds that the payment is done with, and asks no other.
        done = structs.replace(current, answered=True, accounts=())
        return await keep(s, connection, current, done.stepping(Phase.CANCELED, because, why=Why.WITHDRAWN))


def stoppable(p: Payment, a: Attempt | None) -> bool:
    """Is something scheduled, or might something be when what is out has ended?"""
    if p.retry_until is None or over(p.retry):
        return False
    waits = p.retry is not None and p.retry.phase in WAITING
    return waits or (a is not None and a.state in OPEN | ENDED_BADLY)
