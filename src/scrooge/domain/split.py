"""A payment of parts: each part is a payment with an instrument of its own, and all of them are paid, or none is.

What has become of it is computed from the parts as they are, never remembered.
"""

from msgspec import Struct

from scrooge.domain.attempt import LIVE, OPEN, Attempt, Operation, State
from scrooge.domain.payment import Payment, Tally, authorization_of, standing, status_of
from scrooge.ids import retyped, twin_of

TRIES = 6  # of a capture that no caller asked for, and that the PSP did not process
PREFIXES = {Operation.CAPTURE: "cap", Operation.VOID: "voi", Operation.REFUND: "ref"}


class Tender(Struct, frozen=True):
    """One way of paying: `minor` by an instrument, as the payment `payment`, which may not be there yet."""

    payment: str
    instrument: str
    minor: int
    account: str | None = None  # the only connector account to try


class Share(Struct, frozen=True):
    """What one tender does of what was asked of all."""

    tender: int  # its place, from 0
    operation: Operation
    minor: int


class Order(Struct, frozen=True, kw_only=True):
    """A capture, void or refund of the whole. `refused`: by place of the share, why its part was not asked at all."""

    id: str
    operation: Operation
    minor: int
    reference: str | None
    final: bool
    shares: tuple[Share, ...]
    refused: dict[str, str] = {}
    ended: str | None = None
    created_at: int = 0  # Unix microseconds

    @property
    def name(self) -> str:
        """As callers know it; what it asks of a part bears it as its reference."""
        return retyped(self.id, PREFIXES[self.operation])


class Closing(Struct, frozen=True):
    """Why all of it is taken back. `status`: what the payment is from then on; `tender`: whose fault it was."""

    status: str
    code: str
    detail: str
    tender: int | None = None


class Split(Struct, frozen=True, kw_only=True):
    """`whole` is the payment that callers know, which has no attempts; `parts` are None where nobody was asked yet."""

    whole: Payment
    tenders: tuple[Tender, ...]
    parts: tuple[Payment | None, ...]
    orders: tuple[Order, ...] = ()
    closing: Closing | None = None
    told: tuple[str, ...] = ()
    news: int = 0
    looks: int = 0

    @property
    def there(self) -> list[Payment]:
        return [p for p in self.parts if p is not None]

    def part(self, place: int) -> Payment:
        """Of a tender that was asked."""
        found = self.parts[place]
        assert found is not None
        return found


# --- what has become of it --------------------------------------------------------------------


def total(split: Split) -> Tally:
    """Minor units on all parts together."""
    each = [standing(p) for p in split.there]
    return Tally(
        sum(t.authorized for t in each), sum(t.captured for t in each), sum(t.voided for t in each),
        sum(t.refunded for t in each), sum(t.held for t in each), sum(t.held_refund for t in each),
    )  # fmt: skip


def status_of_split(split: Split) -> str:
    """The one word shown to callers."""
    t = total(split)
    if split.closing is not None and not t.captured:
        return split.closing.status
    if t.captured:
        if t.refunded:
            return "refunded" if t.refunded == t.captured else "partially_refunded"
        if split.whole.sale and any(o.ended is None and o.operation is Operation.CAPTURE for o in split.orders):
            return "processing"
        return "captured" if t.captured + t.voided == t.authorized else "partially_captured"
    states = [status_of(p) if p is not None else "processing" for p in split.parts]
    if "requires_action" in states:
        return "requires_action"
    if not all_held(split) and not split.orders:
        return "processing"
    if split.whole.sale and not any(o.operation is Operation.VOID for o in split.orders):
        return "processing"
    if "authorized" in states:
        return "authorized"
    return "expired" if "expired" in states else states[-1]


def all_held(split: Split) -> bool:
    """Is every part approved, for all that was asked of it?"""
    return all(
        p is not None and standing(p).authorized >= tender.minor
        for p, tender in zip(split.parts, split.tenders, strict=True)
    )


def attempts_for(part: Payment | None, order: Order, share: Share) -> list[Attempt]:
    """What a part was asked for an order, try by try."""
    if part is None:
        return []
    names = {tried(order.name, number) for number in range(1, TRIES + 1)}
    return [a for a in part.attempts if a.operation is share.operation and a.caller_reference in names]


def tried(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def ended(split: Split, order: Order) -> str | None:
    """How an order ended, over all its shares; None: it has not. One without shares takes all of it back."""
    if not order.shares:
        return None if held(split) else "succeeded"
    found = [share_ended(split, order, place) for place in range(len(order.shares))]
    if None in found:
        return None
    return next((how for how in ("declined", "failed") if how in found), "succeeded")


def share_ended(split: Split, order: Order, place: int) -> str | None:
    share = order.shares[place]
    if str(place) in order.refused:
        return "failed"
    attempts = attempts_for(split.parts[share.tender], order, share)
    if not attempts:
        return "failed" if spared(split, order, place) else None
    if attempts[-1].state in OPEN:
        return None
    match attempts[-1].state:
        case State.APPROVED:
            return "succeeded"
        case State.DECLINED:
            return "declined"
        case State.REJECTED if automatic(split, order) and len(attempts) < TRIES:
            return None
        case _:
            return "failed"


def spared(split: Split, order: Order, place: int) -> bool:
    """What follows a capture that failed is not asked at all."""
    if order.operation is not Operation.CAPTURE:
        return False
    return any(share_ended(split, order, before) in {"failed", "declined"} for before in range(place))


def automatic(split: Split, order: Order) -> bool:
    """The capture that no caller asked for, because it comes with the payment."""
    return split.whole.sale and order.id == own_capture(split.whole.id)


def own_capture(whole: str) -> str:
    """The id of that order: whoever decides it, decides the same one."""
    return retyped(twin_of(whole, "capture"), "att")


# --- what there is to tell ----------------------------------------------------------------------


def became(split: Split) -> list[str]:
    """Every type of event that is true of the whole by now, captures and refunds by callers aside."""
    what = "sale" if split.whole.sale else "authorize"
    status, closing = status_of_split(split), split.closing
    if closing is not None:
        if status != closing.status:
            return []
        if closing.status == "voided":
            asked = any(o.operation is Operation.VOID for o in split.orders)  # Then its end is told as that.
            return [] if asked or held(split) else ["void_approved"]
        return [f"{what}_{'rejected' if closing.status == 'failed' else closing.status}"]
    if status == "requires_action":
        return [f"{what}_action_required"]
    if split.whole.sale:
        done = [o for o in split.orders if automatic(split, o) and ended(split, o) == "succeeded"]
        if "sale_approved" in split.told and not done:
            return ["capture_reversed"]
        return ["sale_approved"] if done else []
    return ["authorize_approved"] if all_held(split) else []


def half_captured(split: Split) -> bool:
    """Of what was to be captured with the payment one part was, and another cannot be, or was taken back."""
    bad = [
        place
        for o in split.orders if automatic(split, o)
        for place in range(len(o.shares)) if share_ended(split, o, place) in {"declined", "failed"}
    ]  # fmt: skip
    return bool(bad) and total(split).captured > 0


def held(split: Split) -> bool:
    """Is anything of it still out, or held?"""
    last = [authorization_of(p) for p in split.there]
    return any(a is not None and a.state in LIVE and a.closed is None for a in last)
