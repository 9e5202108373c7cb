"""What became of a payment of parts is decided under its lock, written once, and told."""

from typing import Any

import structlog
from msgspec import structs

from scrooge.connectors.connector import Connector
from scrooge.crash import reach
from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment, authorization_of, standing
from scrooge.domain.split import (
    Order,
    Share,
    Split,
    automatic,
    became,
    ended,
    half_captured,
    own_capture,
    status_of_split,
    total,
)
from scrooge.domain.split_steps import Act, next_step
from scrooge.flows.ask import SECOND, account_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.metrics import BREAKS
from scrooge.postgres.database import redone
from scrooge.storage import changes, splits

log = structlog.get_logger()
PAUSE_MOST = 60.0  # seconds between looks at what cannot be done now
HALF = "split_half_captured"
TOLD = {"succeeded": "approved", "declined": "declined", "failed": "rejected"}


@redone
async def settled(s: Scrooge, payment_id: str, *, moved: bool, paused: bool = False) -> Split | None:
    """Writes its status, its events and when to look again. None: there is something to do at once.

    `paused`: there is, but it cannot be done now; `moved`: something was done since the last time.
    """
    async with s.turn(payment_id), s.db.transaction() as connection:
        split = await splits.lock(connection, payment_id)
        step = next_step(split, now())
        if step.act is not Act.WAIT and not paused:
            return None
        look_in = max(0.0, (step.at - now()) / SECOND) if step.at is not None else None
        if paused:
            look_in = min(2.0 ** min(split.looks, 10), PAUSE_MOST)
        over = {o.id: how for o in split.orders if o.ended is None and (how := ended(split, o)) is not None}
        split = structs.replace(
            split, orders=tuple(structs.replace(o, ended=over.get(o.id, o.ended)) for o in split.orders)
        )
        fresh = [kind for kind in became(split) if kind not in split.told]
        events = [(kind, content_of(split)) for kind in fresh]
        for o in split.orders:
            if o.id in over and not (automatic(split, o) and over[o.id] == "succeeded"):
                events.append((f"{o.operation}_{TOLD[over[o.id]]}", content_of(split, o)))
        half = half_captured(split) and HALF not in split.told
        version = await splits.settle(
            connection, split, status=status_of_split(split), look_in=look_in, moved=moved,
            told=[*split.told, *fresh, *([HALF] if half else [])], ended=over, events=events,
        )  # fmt: skip
        if half:
            await half_taken(connection, split)
    reach("split.settled")
    return structs.replace(split, whole=structs.replace(split.whole, version=version, answered=True))


async def half_taken(connection: Any, split: Split) -> None:
    """Somebody has to say what becomes of it."""
    BREAKS.labels(HALF).inc()
    log.error(HALF, payment=split.whole.id)
    t = total(split)
    await changes.open_break(
        connection, HALF, f"{HALF}:{split.whole.id}",
        {"why": "one part was captured, another cannot be or was taken back",
         "captured": split.whole.money(t.captured).value,
         "amount": split.whole.money(split.whole.minor).value, "currency": split.whole.currency},
        payment=split.whole,
    )  # fmt: skip


@redone
async def all_captured(s: Scrooge, split: Split) -> None:
    """Decides that all of it is captured; not if that is not so any more. Whoever did it before decided the same."""
    async with s.turn(split.whole.id), s.db.transaction() as connection:
        current = await splits.lock(connection, split.whole.id)
        if next_step(current, now()).act is not Act.CAPTURE:
            return
        shares = [Share(place, Operation.CAPTURE, tender.minor) for place, tender in enumerate(current.tenders)]
        whole = current.whole
        order = Order(
            id=own_capture(whole.id), operation=Operation.CAPTURE, minor=whole.minor,
            reference=None, final=False, shares=await surest_last(s, current, shares), created_at=now(),
        )  # fmt: skip
        await splits.add_order(connection, whole.id, order)
        reach("split.decided")
    reach("split.ordered")


async def surest_last(s: Scrooge, split: Split, shares: list[Share]) -> tuple[Share, ...]:
    """Captures are asked of PSPs first: what is kept in our own books cannot fail after they have said yes."""
    own = [await in_our_books(s, split.parts[share.tender]) for share in shares]
    order = sorted(range(len(shares)), key=lambda place: own[place])
    return tuple(shares[place] for place in order)


async def in_our_books(s: Scrooge, part: Payment | None) -> bool:
    a = authorization_of(part) if part is not None else None
    if a is None:
        return False
    connector: Connector = s.connectors[(await account_of(s, a)).connector]
    return connector.transport == "ledger"


# --- what is told of it -----------------------------------------------------------------------


def content_of(split: Split, order: Order | None = None) -> dict[str, object]:
    """Of the whole, in the form that events of any payment have."""
    whole = split.whole
    subject = {"operation": order.operation if order else Operation.AUTHORIZE, "id": order.name if order else whole.id}
    minor = order.minor if order else whole.minor
    return {
        **subject,
        "amount": {"value": whole.money(minor).value, "currency": whole.currency},
        "state": TOLD[order.ended] if order and order.ended else status_of_split(split),
        "reference": order.reference if order else None,
        "connector_account": None,
        "psp_reference": None,
        **({"reason": split.closing.detail} if split.closing and not order else {}),
        "payment": state_of(split),
    }


def state_of(split: Split) -> dict[str, object]:
    whole, t = split.whole, total(split)
    amounts = {"amount": whole.minor, "amount_authorized": t.authorized, "amount_captured": t.captured,
               "amount_refunded": t.refunded, "amount_voided": t.voided}  # fmt: skip
    told = {name: {"value": whole.money(minor).value, "currency": whole.currency} for name, minor in amounts.items()}
    tenders = [
        {"instrument": tender.instrument, "payment": tender.payment if part is not None else None,
         "amount": {"value": whole.money(tender.minor).value, "currency": whole.currency},
         "captured": whole.money(standing(part).captured if part is not None else 0).value}
        for tender, part in zip(split.tenders, split.parts, strict=True)
    ]  # fmt: skip
    return {"id": whole.id, "reference": whole.reference, "status": status_of_split(split), **told, "tenders": tenders}
