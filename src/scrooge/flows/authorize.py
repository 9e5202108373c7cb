"""Create a payment and authorize it: route, perform, and go elsewhere on a decline that allows it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack

from msgspec import Raw, Struct, structs

from scrooge.connectors.connector import Request
from scrooge.connectors.limits import Slot
from scrooge.crash import reach
from scrooge.domain.payment import Failure, Payment, authorization_of
from scrooge.errors import (
    AuthorizationLive,
    DatabaseUnavailable,
    InstrumentNotOfCustomer,
    MalformedId,
    ModeMismatch,
    NoRoute,
    NotFound,
    PartOfSplit,
    Problem,
    ReferenceExists,
    RequestInProgress,
    RiskBlocked,
    UnknownInstrument,
)
from scrooge.flows import announce, cards, mandates, stored_value
from scrooge.flows.attempts import attempted
from scrooge.flows.cascade import through
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.perform import time_to_ask
from scrooge.flows.renew import recorded_again
from scrooge.flows.risking import Checked, blocked, checked, suspected, suspected_again
from scrooge.flows.route import Routed, asked_again, looked_for, route_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.wanted import Wanted, asked, check_incremental, check_retries, under
from scrooge.ids import bucket_of, new_id
from scrooge.metrics import FAILURES
from scrooge.storage import payments
from scrooge.storage.changes import Ended, Guard
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.low_value import LowValueUsedUp

Pace = Callable[[Instrument, Sequence[str], float | None], Awaitable[tuple[Slot, str, tuple[str, ...]]]]


class Unsent(Struct, frozen=True):
    """Nobody will be asked for it, and why."""

    failure: Failure
    routed: Raw | None
    pinned: str | None = None


class Sending(Struct, frozen=True):
    """Where it goes, with a slot there that somebody has to give back."""

    risk: Checked
    route: Routed
    slot: Slot
    account: str
    behind: tuple[str, ...]


async def create(
    s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed, pace: Pace | None = None
) -> tuple[Payment, bool]:
    """The payment, and whether it is the answer to an earlier request with the same key. `pace`: who gives a slot.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    with ExitStack() as stack:
        try:
            if wanted.mandate is not None:
                wanted = under(wanted, await mandates.active(s, principal, wanted.mandate))
            check_retries(wanted)
            check_incremental(wanted)
            instrument = await instrument_of(s, principal, wanted.instrument, wanted.customer)
            instrument = mandates.paid_with(instrument, wanted.agreed)
            stored_value.check(instrument, wanted.amount.currency, wanted.retry_until)
            ready = await prepared(s, stack, principal, wanted, keyed, instrument, pace)
        except Problem:
            before = await earlier(s, principal, keyed)  # The world may have changed since the key was used.
            if before is None:
                raise
            return before[0], True
        if isinstance(ready, Unsent):
            return await failed_at_once(s, principal, wanted, keyed, instrument, ready)
        with ready.slot:
            return await made(s, principal, wanted, keyed, instrument, ready)


async def prepared(
    s: Scrooge, stack: ExitStack, principal: Principal, wanted: Wanted, keyed: Keyed, instrument: Instrument,
    pace: Pace | None,
) -> Unsent | Sending:  # fmt: skip
    """Only looks, so that whatever goes wrong, nothing was done. The risk check ends with the stack."""
    risk = stack.enter_context(await checked(s, principal, suspected(wanted), instrument, keyed.until))
    if risk.blocks:
        why = Failure(code=RiskBlocked.code, detail="the risk check blocked it", reasons=risk.reasons())
        s.limits.check(keyed.until)
        return Unsent(why, blocked(risk))
    route = await looked_for(s, principal, instrument, wanted.connector_account, asked(wanted))
    if isinstance(route.nowhere, NoRoute):
        why = Failure(code=NoRoute.code, detail=route.nowhere.detail, reasons=dict(route.decision.excluded))
        s.limits.check(keyed.until)
        return Unsent(why, route.unsent(risk.kept), route.pinned)
    if route.nowhere is not None:
        raise route.nowhere
    paced = pace(instrument, route.accounts, keyed.until) if pace is not None else None
    slot, account, behind = await (paced or s.limits.first(route.accounts, keyed.until))
    return Sending(risk, route, slot, account, behind)


async def made(
    s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed, instrument: Instrument, to: Sending
) -> tuple[Payment, bool]:
    """Records the payment with an attempt at the account that gave us a slot, and goes through with it."""
    p = structs.replace(begun(principal, wanted, instrument), accounts=to.behind, pinned=to.route.pinned)
    try:
        p, request, recorded = await record(
            s, p, instrument, guard_of(principal, keyed), keyed, to.risk, to.route, to.account
        )
    except DatabaseUnavailable:  # It may have been kept, and whoever asked is told no less.
        raise
    except Problem:  # This account cannot take it. The one where a copy of this request went, could.
        before = await earlier(s, principal, keyed)
        if before is None:
            raise
        return before[0], True
    if not recorded:
        return await existing(s, principal, wanted.reference, keyed), True
    reach("record.after")
    to.route.left(s, p.id)
    to.risk.recorded(p.id)
    return await through(s, p, instrument, request, to.slot, always=to.risk.authenticate), False


def begun(principal: Principal, wanted: Wanted, instrument: Instrument) -> Payment:
    return Payment(
        id=wanted.id or new_id("pay", bucket_of(principal.merchant, principal.caller, wanted.reference)),
        merchant=principal.merchant, caller=principal.caller, reference=wanted.reference,
        minor=wanted.amount.minor, currency=wanted.amount.currency,
        livemode=principal.livemode, sale=wanted.capture == "automatic",
        customer=wanted.customer or instrument.customer, instrument=instrument.id,
        initiator=wanted.initiator, purpose=wanted.purpose, return_url=wanted.return_url,
        statement_descriptor=wanted.statement_descriptor, metadata=wanted.metadata, save_for=wanted.save_for,
        save_terms=wanted.save_terms, mandate=wanted.mandate,
        mandate_use=wanted.agreed.use if wanted.agreed else None, created_at=now(),
        retry_until=wanted.retry_until,
        incremental=wanted.incremental,
        part_of=wanted.part_of,
    )  # fmt: skip


async def failed_at_once(
    s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed, instrument: Instrument, why: Unsent
) -> tuple[Payment, bool]:
    """Records a payment that ends before any PSP is asked: like any other, but for the attempt."""
    p = begun(principal, wanted, instrument)
    p = structs.replace(p, failure=why.failure, answered=True, deadline_at=p.created_at, pinned=why.pinned)
    reach("record.before")
    if not await s.writer.create(Ended(p, guard_of(principal, keyed), announce.failure(p), why.routed)):
        return await existing(s, principal, wanted.reference, keyed), True
    FAILURES.labels(why.failure.code).inc()
    reach("record.after")
    return p, False


async def record(
    s: Scrooge, p: Payment, instrument: Instrument, guard: Guard, keyed: Keyed, risk: Checked, route: Routed,
    account: str, *, used_up: bool = False,
) -> tuple[Payment, Request, bool]:  # fmt: skip
    """False: its key or its reference is taken. Once more where the card's low-value payments are used up."""
    after, request = await attempted(
        s, p, instrument, account, authenticate=risk.authenticate, low_risk=risk.clean, used_up=used_up
    )
    ask_at = await time_to_ask(s, after, after.attempts[-1])
    assert ask_at is not None
    review = announce.review(after, risk.kept) if risk.wants_review else None
    s.limits.check(keyed.until)
    reach("record.before")
    try:
        recorded = await s.writer.create((after, guard, request, ask_at, route.record(s, account, risk.kept), review))
    except LowValueUsedUp:
        return await record(s, p, instrument, guard, keyed, risk, route, account, used_up=True)
    return after, request, recorded


async def again(
    s: Scrooge, principal: Principal, payment_id: str, instrument_id: str | None, keyed: Keyed,
    ip: str | None = None, email: str | None = None,
) -> tuple[Payment, bool]:  # fmt: skip
    """A fresh authorization of a payment whose last one was declined, voided or expired."""
    p = await visible(s, principal, payment_id)
    if p.part_of is not None or p.tenders:
        raise PartOfSplit("a payment with tenders is authorized once: make another", payment=p.part_of or p.id)
    before = await earlier(s, principal, keyed)
    if before is not None:
        return before[0], True
    p = structs.replace(p, mandate=p.own_mandate)  # Another one may pay what Scrooge retries, not what its caller asks.
    mandate = await mandates.of_payment(s, principal, p)
    own = mandate.instrument if mandate else p.instrument  # Its mandate may have another card by now.
    instrument = await instrument_of(s, principal, instrument_id or own or "", p.customer)
    instrument = mandates.paid_with(instrument, mandate)
    stored_value.check(instrument, p.currency, p.retry_until)
    with await checked(s, principal, suspected_again(p, ip, email), instrument, keyed.until) as risk:
        if risk.blocks:
            raise RiskBlocked("the risk check blocks it", reasons=risk.reasons())
        route = await route_of(s, principal, instrument, p.pinned, asked_again(p, mandate))
        slot, account, behind = await s.limits.first(route.accounts, keyed.until)
        with slot:
            try:
                recorded = await recorded_again(s, principal, p, instrument, keyed, route, account, behind, risk=risk)
            except AuthorizationLive:
                before = await earlier(s, principal, keyed)  # A copy of this request may be what made it live.
                if before is None:
                    raise
                return before[0], True
            if recorded is not None:
                after, request = recorded
                return await through(s, after, instrument, request, slot, always=risk.authenticate), False
    before = await earlier(s, principal, keyed)
    assert before is not None
    return before[0], True


async def existing(s: Scrooge, principal: Principal, reference: str, keyed: Keyed) -> Payment:
    """Why a payment was not made: its key was used before, or its reference was."""
    try:
        before = await earlier(s, principal, keyed)
    except ReferenceExists:  # The key was used up by losing the reference to another; which one is found below.
        before = None
    if before is not None:
        return before[0]
    bucket = bucket_of(principal.merchant, principal.caller, reference)
    other = await payments.payment_of_reference(
        s.db, bucket, principal.merchant, principal.caller, principal.livemode, reference
    )
    if other is None:  # The one who held it gave up between our two looks.
        raise RequestInProgress("another request with this reference was running", retry_after=1)
    raise ReferenceExists("this reference was used before, under another key", param="reference", existing_id=other)


async def visible(s: Scrooge, principal: Principal, payment_id: str) -> Payment:
    """The payment, if it is the merchant's and of the key's mode. Raises NotFound either way, telling nothing."""
    await s.directory.refresh()
    p = await payments.read(s.db, payment_id)
    if p is None or p.merchant != principal.merchant or p.livemode is not principal.livemode:
        raise NotFound("no such payment")
    assert authorization_of(p) is not None or not p.attempts
    return p


async def instrument_of(s: Scrooge, principal: Principal, instrument_id: str, customer: str | None) -> Instrument:
    """Raises UnknownInstrument, ModeMismatch, InstrumentNotOfCustomer, VaultUnavailable."""
    try:
        found = await cards.instrument(s, principal.merchant, instrument_id)
    except MalformedId:
        found = None
    if found is None:
        raise UnknownInstrument("no such instrument", param="instrument")
    if found.livemode is not principal.livemode:
        raise ModeMismatch("the instrument is of the other mode", param="instrument")
    if customer is not None and customer != found.customer:
        raise InstrumentNotOfCustomer("the instrument belongs to another customer", param="customer")
    return found
