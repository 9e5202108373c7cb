"""Captures, voids and refunds of a payment of parts: shared out under its lock, written, then asked of the parts."""

from msgspec import structs

from scrooge.crash import reach
from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment
from scrooge.domain.split import Closing, Order, Split, all_held, held, total
from scrooge.domain.split_shares import rooms, shared
from scrooge.errors import (
    AmountExceedsRoom,
    AuthorizationNotApproved,
    CaptureInFlight,
    InvalidField,
    ReferenceExists,
    UnsupportedOperation,
)
from scrooge.flows.ask import SECOND
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.modify import check_amount, decided
from scrooge.flows.perform import GRACE
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.settling import surest_last
from scrooge.flows.splits import Context, answered
from scrooge.ids import bucket_in, new_id
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import payments, splits
from scrooge.storage.directory import Principal

CANCELED = Closing("voided", "canceled", "it was voided as a whole")


async def ask(
    s: Scrooge, principal: Principal, p: Payment, operation: Operation, amount: Money | None, reference: str | None,
    final: bool, tender: str | None, keyed: Keyed,
) -> tuple[Split, str, bool]:  # fmt: skip
    """(payment, order, whether an earlier request with this key did it). `tender`: the instrument to refund to.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    before = await earlier(s, principal, keyed)
    if before is None:
        order = await recorded(s, principal, p, operation, amount, reference, final, tender, keyed)
        if order is not None:
            reach("split.ordered")
            return await answered(s, principal, p.id, Context(keyed.until)), order.id, False
        before = await earlier(s, principal, keyed)
    assert before is not None
    assert before[1] is not None
    split = await splits.read(s.db, before[0].id)
    assert split is not None
    return split, before[1], True


@redone
async def recorded(
    s: Scrooge, principal: Principal, p: Payment, operation: Operation, amount: Money | None, reference: str | None,
    final: bool, tender: str | None, keyed: Keyed,
) -> Order | None:  # fmt: skip
    """Decides under the lock and commits how it is shared out. None: the key was used meanwhile."""
    check_amount(p, amount)
    order_id = new_id("att", bucket_in(p.id))
    async with s.turn(p.id), s.db.transaction() as connection:
        split = await splits.lock(connection, p.id)
        deadline = now() + 2 * s.settings.psp_timeout_seconds * SECOND + GRACE
        guard = guard_of(principal, keyed)
        if not await payments.claim_key(connection, guard, principal.caller, p.id, order_id, deadline):
            return None
        check_reference(split, operation, reference)
        order = Order(
            id=order_id, operation=operation, minor=0, reference=reference, final=final, shares=(), created_at=now()
        )
        if operation is Operation.VOID and not total(split).captured:
            order = await canceled(connection, split, order, amount)
        else:
            order = await shared_out(s, split, order, amount, tender)
        await splits.add_order(connection, p.id, order)
        s.limits.check(keyed.until)
        reach("split.decided")
    return order


async def shared_out(s: Scrooge, split: Split, order: Order, amount: Money | None, tender: str | None) -> Order:
    """Every part is asked first whether it could. Raises what stands against it."""
    operation = order.operation
    if operation is Operation.INCREMENT:
        raise UnsupportedOperation("a payment with tenders is not raised")
    approved = all_held(split) or bool(split.orders)
    if operation is Operation.CAPTURE and (split.closing is not None or not approved):
        raise AuthorizationNotApproved("nothing to capture: not all of its tenders are approved")
    if operation is Operation.CAPTURE and split.whole.sale and not split.orders:
        raise CaptureInFlight("it is about to be captured with the payment")
    waits = any(o.ended is None and o.operation is not Operation.REFUND for o in split.orders)
    if operation is not Operation.REFUND and waits:
        raise CaptureInFlight("a capture or void of this payment has not concluded")
    place = None if tender is None else place_of(split, tender)
    minor = amount.minor if amount is not None else None
    shares = shared(split, operation, minor, final=order.final, tender=place)
    if operation is Operation.VOID and minor is not None and minor != sum(rooms(split, operation)):
        raise UnsupportedOperation("all that is left of a payment with tenders is voided, or nothing", param="amount")
    for share in shares:
        final = order.final and share.operation is Operation.CAPTURE
        await decided(
            s, split.part(share.tender), order.id, share.operation, split.whole.money(share.minor), None, final
        )
    if operation is Operation.CAPTURE:
        shares = list(await surest_last(s, split, shares))
    moved = sum(share.minor for share in shares if share.operation is operation)
    return structs.replace(order, minor=moved, shares=tuple(shares))


async def canceled(connection: object, split: Split, order: Order, amount: Money | None) -> Order:
    """Nothing was captured: all of it is taken back, also what is still out. Raises AuthorizationNotApproved,
    AmountExceedsRoom, CaptureInFlight, UnsupportedOperation."""
    if split.closing is not None:
        raise AuthorizationNotApproved("nothing to void: it is taken back already")
    if any(o.ended is None for o in split.orders):
        raise CaptureInFlight("a capture has not concluded; its outcome decides what is left to void")
    if amount is not None and amount.minor != split.whole.minor:
        raise UnsupportedOperation("a payment with tenders is voided whole", param="amount")
    if split.there and not held(split) and all(p is not None for p in split.parts):
        nothing = {"value": split.whole.money(0).value, "currency": split.whole.currency}
        raise AmountExceedsRoom("nothing is left to void", room=nothing)
    await splits.close(connection, split.whole.id, CANCELED)
    return structs.replace(order, minor=split.whole.minor, shares=())


def check_reference(split: Split, operation: Operation, reference: str | None) -> None:
    for o in split.orders:
        if reference is not None and o.operation is operation and o.reference == reference:
            raise ReferenceExists(
                f"this payment has a {operation} with this reference", param="reference", existing_id=o.name
            )


def place_of(split: Split, instrument: str) -> int:
    """Raises InvalidField."""
    for place, tender in enumerate(split.tenders):
        if tender.instrument == instrument:
            return place
    raise InvalidField("no tender of this payment has this instrument", param="tender")
