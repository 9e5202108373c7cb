"""Payments of parts: made with all their parts decided, and carried on by whoever comes along.

A part is a payment like any other, on the road of all payments. What is next is computed from the parts
(domain/split.py) and done under keys that follow from it, so that two who do the same thing at once do it once, and
nobody has to know how far somebody got who died.
"""

import hashlib

import structlog
from msgspec import Struct, structs

from scrooge.crash import reach
from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment
from scrooge.domain.split import Closing, Split, Tender, tried
from scrooge.domain.split_steps import Act, Step, next_step
from scrooge.errors import (
    AttemptBusy,
    CaptureInFlight,
    DatabaseUnavailable,
    IncrementInFlight,
    InternalError,
    InvalidField,
    Problem,
    ReferenceExists,
    RequestInProgress,
    TendersDiffer,
)
from scrooge.flows import authorize, stored_value
from scrooge.flows.ask import SECOND
from scrooge.flows.authorize import Wanted, begun, existing, instrument_of
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.modify import modify
from scrooge.flows.perform import GRACE, NOT_KEPT
from scrooge.flows.route import route_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.settling import all_captured, settled
from scrooge.flows.wanted import asked
from scrooge.ids import bucket_in, new_id
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import changes, payments, splits
from scrooge.storage.changes import Ended
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.splits import Due

log = structlog.get_logger()
STEPS_MAX = 64  # of one turn: more than any payment of parts has
GIVE_UP = 300 * SECOND  # For so long a part may be kept from being asked at all.
PASSING = (RequestInProgress, AttemptBusy, CaptureInFlight, IncrementInFlight, ReferenceExists)


class Context(Struct, frozen=True):
    """Of the request that goes on with it: until when its caller waits (monotonic seconds), and what is known of the
    payer, for the risk check alone. A worker has neither."""

    until: float | None = None
    ip: str | None = None
    email: str | None = None


async def create(
    s: Scrooge, principal: Principal, wanted: Wanted, tenders: list[Tender], keyed: Keyed
) -> tuple[Split, bool]:
    """The payment, and whether it is the answer to an earlier request with the same key. `tenders`: their payments are
    named here; an amount of 0 on the last one is the rest.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    try:
        tenders = check_tenders(wanted, tenders)
        first = await paid_with(s, principal, wanted, tenders)
    except Problem:
        if await earlier(s, principal, keyed) is None:
            raise
        return await of_key(s, principal, wanted, keyed)
    whole = structs.replace(begun(principal, wanted, first), instrument=None, tenders=len(tenders))
    whole = structs.replace(whole, deadline_at=whole.created_at + 2 * s.settings.psp_timeout_seconds * SECOND + GRACE)
    bucket = bucket_in(whole.id)
    named = [structs.replace(tender, payment=new_id("pay", bucket)) for tender in tenders]
    if not await recorded(s, principal, whole, named, keyed):
        return await of_key(s, principal, wanted, keyed)
    reach("split.after")
    context = Context(keyed.until, wanted.ip, wanted.email)
    return await answered(s, principal, whole.id, context), False


def check_tenders(wanted: Wanted, tenders: list[Tender]) -> list[Tender]:
    """With the amount of each. Raises InvalidField, TendersDiffer."""
    total = wanted.amount
    for name in ("mandate", "save_for", "retry_until", "connector_account"):
        if getattr(wanted, name) is not None:
            raise InvalidField("not for a payment with tenders", param=name)
    if wanted.incremental:
        raise InvalidField("not for a payment with tenders", param="incremental")
    if len({tender.instrument for tender in tenders}) < len(tenders):
        raise InvalidField("each tender has an instrument of its own", param="tenders")
    *_, last = tenders
    rest = total.minor - sum(tender.minor for tender in tenders)
    if last.minor == 0 and rest > 0:
        return [*tenders[:-1], structs.replace(last, minor=rest)]
    if rest or not last.minor:
        paid = Money(sum(tender.minor for tender in tenders), total.currency)
        raise TendersDiffer(f"the tenders pay {paid} of {total}", param="tenders")
    return tenders


async def paid_with(s: Scrooge, principal: Principal, wanted: Wanted, tenders: list[Tender]) -> Instrument:
    """The first instrument, when every one could be asked by now. Raises what stands against one, naming it."""
    found: list[Instrument] = []
    for place, tender in enumerate(tenders):
        try:
            customer = wanted.customer or (found[0].customer if found else None)
            instrument = await instrument_of(s, principal, tender.instrument, customer)
            stored_value.check(instrument, wanted.amount.currency, None)
            part = structs.replace(wanted, amount=Money(tender.minor, wanted.amount.currency))
            await route_of(s, principal, instrument, tender.account, asked(part))
        except Problem as problem:
            field = problem.param if problem.param == "connector_account" else "instrument"
            problem.param = f"tenders.{place}.{field}"
            raise
        found.append(instrument)
    return found[0]


@redone
async def recorded(s: Scrooge, principal: Principal, whole: Payment, tenders: list[Tender], keyed: Keyed) -> bool:
    """Its key, its reference and how it is split, before anybody is asked. False: its key or its reference is taken."""
    guard = guard_of(principal, keyed)
    async with s.db.transaction() as connection:
        if not await changes.create(connection, [Ended(whole, guard, None, None)]):
            return False
        await splits.record(connection, whole, tenders, lease_seconds(s))
        s.limits.check(keyed.until)
        reach("split.before")
    return True


def lease_seconds(s: Scrooge) -> float:
    """Longer than a step takes whose PSP does not answer."""
    return 2.0 * s.settings.psp_timeout_seconds + 10


async def of_key(s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed) -> tuple[Split, bool]:
    p = await existing(s, principal, wanted.reference, keyed)
    found = await splits.read(s.db, p.id)
    assert found is not None
    return found, True


async def answered(s: Scrooge, principal: Principal, payment_id: str, context: Context) -> Split:
    """Goes on with it as far as that is possible now. What was recorded is not refused any more, whatever happens."""
    try:
        return await carry_on(s, principal, payment_id, context)
    except NOT_KEPT as error:
        log.error("split_left_to_a_worker", payment=payment_id, error=type(error).__name__)
        raise RequestInProgress("it is not known yet what became of this request", retry_after=2) from error


async def turn(s: Scrooge, due: Due) -> None:
    """A worker's: there was news of a part, or whoever was at it died."""
    reach("split.claimed")
    await s.directory.refresh()
    p = await payments.read(s.db, due.payment)
    assert p is not None
    name = await s.directory.caller_name(p.caller)
    principal = Principal("", p.merchant, due.merchant, p.caller, name, frozenset(), p.livemode)
    await carry_on(s, principal, p.id, Context())


# --- one step after the other ---------------------------------------------------------------


async def carry_on(s: Scrooge, principal: Principal, payment_id: str, context: Context) -> Split:
    """Whatever is next, until it is somebody else's turn: a PSP's, the payer's, the caller's."""
    moved, after = False, None
    for _ in range(STEPS_MAX):
        split = await splits.read(s.db, payment_id)
        assert split is not None
        step = next_step(split, now())
        if step.act is Act.WAIT:
            after = await settled(s, split.whole.id, moved=moved)
            if after is not None:
                return after
            continue  # There was news meanwhile.
        reach("split.step")
        await splits.renew(s.db, payment_id, lease_seconds(s))
        try:
            await take(s, principal, split, step, context)
            moved = True
        except DatabaseUnavailable:
            raise
        except Exception as error:  # Even a bug of ours: what is held is given back when it goes on for too long.
            problem = error if isinstance(error, Problem) else InternalError(type(error).__name__)
            if problem is not error:
                log.exception("split_step_failed", payment=payment_id, act=str(step.act))
            if not await given_up(s, split, step, problem):
                log.warning("split_waits", payment=payment_id, act=str(step.act), reason=problem.code)
                break
    after = await settled(s, payment_id, moved=False, paused=True)
    assert after is not None
    return after


async def take(s: Scrooge, principal: Principal, split: Split, step: Step, context: Context) -> None:
    """Raises the Problems of what cannot be asked now, or at all."""
    match step.act:
        case Act.AUTHORIZE:
            await authorize.create(s, principal, part_of(split, step.tender, context), keyed(split, step, context))
        case Act.CLOSE:
            assert step.closing is not None
            await closed(s, split, step)
        case Act.CAPTURE:
            await all_captured(s, split)
        case Act.VOID:
            part = split.part(step.tender)
            key = keyed(split, step, context)
            await modify(s, principal, part, Operation.VOID, None, None, False, key, within=True)
        case Act.SHARE:
            order = step.order
            assert order is not None
            share = order.shares[step.share]
            await modify(
                s, principal, split.part(share.tender), share.operation, split.whole.money(share.minor),
                tried(order.name, step.number), order.final and share.operation is Operation.CAPTURE,
                keyed(split, step, context), within=True,
            )  # fmt: skip


def part_of(split: Split, place: int, context: Context) -> Wanted:
    """What is asked for one tender: held first, whatever the whole is to be, so that nothing is taken unless all is."""
    whole, tender = split.whole, split.tenders[place]
    return Wanted(
        reference=tender.payment, amount=whole.money(tender.minor), instrument=tender.instrument,
        customer=whole.customer, initiator=whole.initiator, purpose=whole.purpose, capture="manual",
        return_url=whole.return_url, statement_descriptor=whole.statement_descriptor, metadata=whole.metadata,
        connector_account=tender.account, ip=context.ip, email=context.email,
        id=tender.payment, part_of=whole.id, whole=whole.money(whole.minor),
    )  # fmt: skip


def keyed(split: Split, step: Step, context: Context) -> Keyed:
    """The same for everybody who does this step. No caller's key has a blank in it."""
    order = step.order.name if step.order is not None else split.whole.id
    name = f"{order} {step.act} {step.tender} {step.share} {step.number}"
    return Keyed(name, hashlib.sha256(name.encode()).digest(), context.until)


@redone
async def closed(s: Scrooge, split: Split, step: Step) -> None:
    """Decides that all of it is taken back; not if that is not so any more."""
    assert step.closing is not None
    async with s.turn(split.whole.id), s.db.transaction() as connection:
        current = await splits.lock(connection, split.whole.id)
        again = next_step(current, now())
        if again.act is Act.CLOSE and again.closing is not None:
            await splits.close(connection, split.whole.id, again.closing)
        reach("split.decided")


async def given_up(s: Scrooge, split: Split, step: Step, problem: Problem) -> bool:
    """Can this step never be taken? Then something else follows; False: later, perhaps."""
    passing = problem.status >= 500 or isinstance(problem, PASSING)
    match step.act:
        case Act.AUTHORIZE if not passing or now() > split.whole.created_at + GIVE_UP:
            why = Closing("failed", problem.code, problem.detail, step.tender)
            async with s.turn(split.whole.id), s.db.transaction() as connection:
                current = await splits.lock(connection, split.whole.id)
                if current.parts[step.tender] is None and not current.orders:
                    await splits.close(connection, split.whole.id, why)
            return True
        case Act.SHARE if not passing:
            assert step.order is not None
            await splits.refuse(s.db, split.whole.id, step.order, step.share, problem.code)
            return True
        case _:
            return False
