"""What is next for a payment of parts: computed from the parts as they are, so that whoever looks at the same parts
does the same thing, however often somebody has died in between.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from scrooge.domain.attempt import OPEN, Operation, State
from scrooge.domain.payment import ROOM, Payment, authorization_of, standing, status_of
from scrooge.domain.split import Closing, Order, Split, attempts_for, automatic, share_ended


class Act(StrEnum):
    """What can be next."""

    AUTHORIZE = "authorize"  # the tender's part
    CLOSE = "close"  # decide that all of it is taken back
    VOID = "void"  # the tender's part, because all of it is taken back
    CAPTURE = "capture"  # decide that all of it is captured
    SHARE = "share"  # ask a part for its share of an order
    WAIT = "wait"


class Step(Struct, frozen=True):
    """`at`: when to look again if there is no news before (Unix microseconds); None: not before."""

    act: Act
    tender: int = 0
    closing: Closing | None = None
    order: Order | None = None
    share: int = 0
    number: int = 1  # which try of this tender at this
    at: int | None = None


WAIT = Step(Act.WAIT)
PAUSE = 2_000_000  # microseconds, doubling: between tries of what a PSP did not process


def next_step(split: Split, now: int) -> Step:
    """The one thing to do next. `now`: Unix microseconds."""
    if split.closing is not None:
        return undoing(split, now)
    taken = any(standing(p).captured for p in split.there)
    if not split.orders and not taken:
        found = authorizing(split, now)
        if found is not None:
            return found
        return Step(Act.CAPTURE) if split.whole.sale else WAIT
    if not taken and all(order.ended is not None for order in split.orders):
        found = authorizing(split, now)  # A capture that failed, and then one of them has expired: none is paid.
        if found is not None and found.closing is not None and found.closing.status == "expired":
            return found
    steps = [carrying_out(split, order, now) for order in split.orders if order.ended is None]
    return next((step for step in steps if step.act is not Act.WAIT), soonest(steps))


def soonest(steps: Sequence[Step]) -> Step:
    moments = [step.at for step in steps if step.at is not None]
    return Step(Act.WAIT, at=min(moments)) if moments else WAIT


def authorizing(split: Split, now: int) -> Step | None:
    """One tender after the other; None: all of them are approved."""
    for place, (tender, part) in enumerate(zip(split.tenders, split.parts, strict=True)):
        if part is None:
            return Step(Act.AUTHORIZE, place)
        status = status_of(part)
        if status in {"processing", "requires_action"}:
            return WAIT
        if status in {"declined", "failed"} and not part.answered and now < part.deadline_at:
            return Step(Act.WAIT, at=part.deadline_at)  # Another account may be asked at once.
        if status != "authorized":
            return Step(Act.CLOSE, place, because(part, place, status))
        if standing(part).authorized < tender.minor:
            short = Closing("failed", "tender_short", "an instrument was approved for less than its part", place)
            return Step(Act.CLOSE, place, short)
    return None


def because(part: Payment, place: int, status: str) -> Closing:
    if status == "failed" and part.failure is not None:
        return Closing(status, part.failure.code, part.failure.detail, place)
    words = {"declined": "was declined", "expired": "has expired", "voided": "was released at the PSP"}
    return Closing(status, f"tender_{status}", f"one of its parts {words.get(status, 'failed')}", place)


def undoing(split: Split, now: int) -> Step:
    """Whatever is held is released; what is out is waited for."""
    waits: list[Step] = []
    for place, part in enumerate(split.parts):
        held = authorization_of(part) if part is not None else None
        if part is None or held is None or held.state is not State.APPROVED or held.closed is not None:
            continue
        if any(a.state in OPEN for a in part.attempts) or ROOM[Operation.VOID](part) == 0:
            continue
        voids = [a for a in part.attempts if a.operation is Operation.VOID]
        due = voids[-1].sent_at + PAUSE * 2 ** min(len(voids), 10) if voids else now
        if due <= now:
            return Step(Act.VOID, place, number=len(voids) + 1)
        waits.append(Step(Act.WAIT, at=due))
    return soonest(waits)


def carrying_out(split: Split, order: Order, now: int) -> Step:
    """A capture is asked of one part after the other, so that the first that refuses is the last; others of all."""
    for place, share in enumerate(order.shares):
        how = share_ended(split, order, place)
        if how is None:
            attempts = attempts_for(split.parts[share.tender], order, share)
            if not attempts:
                return Step(Act.SHARE, share.tender, order=order, share=place)
            if attempts[-1].state is State.REJECTED:
                due = attempts[-1].sent_at + PAUSE * 2 ** len(attempts)
                if due > now:
                    return Step(Act.WAIT, at=due)
                return Step(Act.SHARE, share.tender, order=order, share=place, number=len(attempts) + 1)
            if order.operation is Operation.CAPTURE:
                return WAIT
        elif how != "succeeded" and automatic(split, order):
            if any(standing(p).captured for p in split.there):
                return WAIT  # Half is taken, and no void or refund is ours to decide: a person does.
            failed = Closing("failed", "capture_failed", "one of its parts could not be captured", share.tender)
            return Step(Act.CLOSE, share.tender, failed)
    return WAIT
