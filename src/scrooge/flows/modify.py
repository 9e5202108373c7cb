"""Capture, void, refund, increment: one shape. Decided under the payment's lock, then asked, then applied."""

from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Connector, Request, render
from scrooge.connectors.limits import Lane
from scrooge.crash import reach
from scrooge.domain.attempt import OPEN, Attempt, Operation, State
from scrooge.domain.payment import ROOM, Payment, authorization_of, decide
from scrooge.errors import (
    AmountMustBePositive,
    AuthorizationNotApproved,
    CurrencyMismatch,
    IncrementInFlight,
    PartOfSplit,
    ReferenceExists,
    UnsupportedOperation,
)
from scrooge.flows.ask import SECOND, account_of, command_of
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.perform import GRACE, ask_and_apply, change_of
from scrooge.flows.retries import stop
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_in, new_id, retyped
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import changes, payments
from scrooge.storage.directory import Principal

PREFIXES = {Operation.CAPTURE: "cap", Operation.VOID: "voi", Operation.REFUND: "ref",
            Operation.INCREMENT: "inc"}  # fmt: skip


async def modify(
    s: Scrooge,
    principal: Principal,
    p: Payment,
    operation: Operation,
    amount: Money | None,
    reference: str | None,
    final: bool,
    keyed: Keyed,
    *,
    within: bool = False,
) -> tuple[Payment, str, bool]:
    """(payment, attempt, whether an earlier request with this key did it). `amount` None: all that is left.
    `within`: it is asked of a part because it was asked of the whole.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    check_whole(p, within=within)
    before = await earlier(s, principal, keyed)
    if before is None:
        authorization = authorization_of(p)
        account = authorization.connector_account if authorization is not None else ""
        with await s.limits.take(account, Lane.RECOVERY, keyed.until) as slot:
            recorded = await record_or_stop(s, principal, p, operation, amount, reference, final, keyed)
            if recorded is not None:
                after, attempt_id, request = recorded
                connector = await connector_of(s, after.attempt(attempt_id))
                endpoint = connector.endpoints[operation]
                after = await ask_and_apply(s, after, attempt_id, endpoint, request, slot, answered=False)
                return after, attempt_id, False
        before = await earlier(s, principal, keyed)
    assert before is not None
    assert before[1] is not None
    return before[0], before[1], True


async def record_or_stop(
    s: Scrooge, principal: Principal, p: Payment, operation: Operation, *rest: Any
) -> tuple[Payment, str, Request] | None:
    """A void where there is nothing to void is refused; that nothing is to be taken any more is heard all the same."""
    try:
        return await record(s, principal, p, operation, *rest)
    except AuthorizationNotApproved:
        if operation is Operation.VOID and p.retry_until is not None:
            await stop(s, p.id, "the caller voided it")
        raise


@redone
async def record(
    s: Scrooge,
    principal: Principal,
    p: Payment,
    operation: Operation,
    amount: Money | None,
    reference: str | None,
    final: bool,
    keyed: Keyed,
) -> tuple[Payment, str, Request] | None:
    """Decides under the lock and commits the attempt. None: the key was used meanwhile."""
    check_amount(p, amount)
    attempt_id = new_id("att", bucket_in(p.id))
    async with s.turn(p.id), s.db.transaction() as connection:
        current = await payments.lock(connection, p.id)
        assert current is not None
        # The key comes first: a copy of a request that was done must meet its own answer, not the room it used up.
        deadline = now() + s.settings.psp_timeout_seconds * SECOND + GRACE
        guard = guard_of(principal, keyed)
        if not await payments.claim_key(connection, guard, principal.caller, p.id, attempt_id, deadline):
            return None
        after, request = await decided(s, current, attempt_id, operation, amount, reference, final)
        attempt = after.attempts[-1]
        s.limits.check(keyed.until)
        reach("record.before")
        change = await change_of(s, current, after, {attempt.id: request})
        written = await changes.save(connection, [change])
        assert p.id in written, "the payment row was locked, so nobody else can have changed it"
        reach("record.written")
    reach("record.after")
    return structs.replace(after, version=current.version + 1), attempt.id, request


async def decided(
    s: Scrooge,
    p: Payment,
    attempt_id: str,
    operation: Operation,
    amount: Money | None,
    reference: str | None,
    final: bool,
) -> tuple[Payment, Request]:
    """May we ask, and with which bytes? Everything that can be refused is refused here."""
    number = len(p.attempts) + 1
    check_reference(p, operation, reference)
    authorization = authorization_of(p)
    account_id = authorization.connector_account if authorization else ""
    minor = amount.minor if amount is not None else None
    room = ROOM[operation](p)
    after = decide(
        p, operation, minor, id=attempt_id, number=number,
        connector_account=account_id, reference=f"{p.id}-{number}", caller_reference=reference,
        final=operation is Operation.CAPTURE and final, sent_at=now(),
    )  # fmt: skip
    attempt = after.attempts[-1]
    account = await account_of(s, attempt)
    connector = s.directory.wire(account).connector
    check_increments(connector, p, attempt)
    check_capability(connector, attempt, room)
    return after, render(connector, command_of(after, attempt, account))


def check_increments(connector: Connector, p: Payment, attempt: Attempt) -> None:
    """Raises UnsupportedOperation where the PSP cannot raise it, IncrementInFlight for a capture that hangs on it."""
    increments = [a for a in p.attempts if a.operation is Operation.INCREMENT]
    if attempt.operation is Operation.INCREMENT and Operation.INCREMENT in connector.endpoints:
        if not p.incremental:
            raise UnsupportedOperation(
                "the PSP was not told that it may be raised: create payments with incremental true"
            )
        approved = sum(a.state is State.APPROVED for a in increments if a.parent == attempt.parent)
        if connector.increments_max is not None and approved >= connector.increments_max:
            raise UnsupportedOperation(
                f"{connector.name} raises an authorization {connector.increments_max} times at most"
            )
    last = not connector.multi_capture or attempt.final  # After it the PSP holds nothing, or we say so.
    if attempt.operation is Operation.CAPTURE and last and any(a.state in OPEN for a in increments):
        raise IncrementInFlight("an increment has not concluded; its outcome decides what there is to capture")


def check_capability(connector: Connector, attempt: Attempt, room: int) -> None:
    """Raises UnsupportedOperation for a partial operation that the PSP does not know."""
    partial = attempt.minor < room
    if attempt.operation is Operation.VOID and partial and not connector.partial_void:
        raise UnsupportedOperation(f"{connector.name} voids all that is left, or nothing", param="amount")
    if attempt.operation is Operation.CAPTURE and partial and attempt.final and not connector.final_releases:
        raise UnsupportedOperation(
            f"{connector.name} keeps the rest held: capture without final, and void the rest when that has concluded",
            param="final",
        )
    if attempt.operation is Operation.CAPTURE and partial and not attempt.final and not connector.multi_capture:
        raise UnsupportedOperation(
            f"{connector.name} captures once: a partial capture needs final true, which releases the rest",
            param="final",
        )


def check_whole(p: Payment, *, within: bool = False) -> None:
    """Raises PartOfSplit."""
    if p.part_of is not None and not within:
        raise PartOfSplit("it moves with the payment that it is a part of", payment=p.part_of)


def check_reference(p: Payment, operation: Operation, reference: str | None) -> None:
    for a in p.attempts:
        if reference is not None and a.operation is operation and a.caller_reference == reference:
            raise ReferenceExists(
                f"this payment has a {operation} with this reference",
                param="reference",
                existing_id=retyped(a.id, PREFIXES[operation]),
            )


def check_amount(p: Payment, amount: Money | None) -> None:
    if amount is not None and amount.currency != p.currency:
        raise CurrencyMismatch(f"the payment is in {p.currency}", param="amount.currency")
    if amount is not None and amount.minor <= 0:
        raise AmountMustBePositive("an amount to move is more than zero", param="amount.value")


async def connector_of(s: Scrooge, attempt: Attempt) -> Connector:
    return s.connectors[(await account_of(s, attempt)).connector]
