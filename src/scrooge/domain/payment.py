"""A payment is an amount and the attempts made on it. Everything else is computed from those."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct, structs

from scrooge.domain.attempt import LIVE, OPEN, Attempt, Closed, Operation, State
from scrooge.domain.mandate import Terms, Use
from scrooge.domain.recovery import ENDED, Phase, Retry
from scrooge.errors import (
    AmountExceedsRoom,
    AmountMustBePositive,
    AmountOutOfRange,
    AuthorizationCaptured,
    AuthorizationExpired,
    AuthorizationLive,
    AuthorizationNotApproved,
    CaptureInFlight,
    IncrementInFlight,
)
from scrooge.money import MINOR_MAX, Money

O = Operation  # noqa: E741 - read aloud in ROOM


class Failure(Struct, frozen=True, kw_only=True):
    """Why a payment ended before any PSP was asked. `reasons` by connector account, or by what else was against it."""

    code: str
    detail: str
    reasons: dict[str, str] = {}


class Payment(Struct, frozen=True, kw_only=True):
    """`minor` of `currency` is the whole intent; `version` counts the changes kept so far."""

    id: str
    merchant: str
    caller: str
    reference: str
    minor: int
    currency: str
    version: int = 1
    attempts: tuple[Attempt, ...] = ()
    livemode: bool = False
    sale: bool = True  # capture with the authorization, unless the caller captures by hand
    answered: bool = False  # the request that made it has ended: its key may be answered with the payment
    accounts: tuple[str, ...] = ()  # connector accounts still to try, best first
    customer: str | None = None
    instrument: str | None = None
    initiator: str = "customer"
    purpose: str | None = None
    return_url: str | None = None
    statement_descriptor: str | None = None
    metadata: dict[str, str] = {}
    incremental: bool = False  # the PSP is told that the authorization may be raised
    save_for: str | None = None  # a word of domain.mandate.USES: what the payer agrees the instrument is kept for
    save_terms: Terms | None = None  # what else the payer agrees to
    mandate: str | None = None  # under which a merchant's payment is made, and what that is for
    mandate_use: Use | None = None  # None with a mandate: of a verification, of the card that is to be its next one
    own_mandate: str | None = None  # under which it was made, where a retry pays under another
    failure: Failure | None = None  # of one that began without an attempt; it may have some since
    created_at: int = 0  # Unix microseconds
    deadline_at: int = 0  # Unix microseconds: until then the key answers "still running"
    retry_until: int | None = None  # Unix microseconds: until then it may be tried again when it was declined
    retry: Retry | None = None  # the last step of that
    part_of: str | None = None  # the payment that this one is a part of
    tenders: int = 0  # of a payment of parts, which has no attempts: how many parts
    pinned: str | None = None  # the connector account that its caller asked for: its retries go nowhere else

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)

    def attempt(self, attempt_id: str) -> Attempt:
        [found] = [a for a in self.attempts if a.id == attempt_id]
        return found

    def replacing(self, moved: Attempt) -> "Payment":
        """The same payment with one attempt in its new form."""
        attempts = tuple(moved if a.id == moved.id else a for a in self.attempts)
        return structs.replace(self, attempts=attempts)

    def stepping(self, phase: Phase, because: str, **facts: Any) -> "Payment":
        """With one step more of what follows a decline."""
        last = self.retry
        known: dict[str, Any] = {
            "seq": last.seq + 1 if last else 1,
            "number": max((a.number for a in self.attempts), default=0),
            "round": last.round if last else 0,
        }
        if last is not None:
            known |= {"control": last.control, "spent": last.spent, "card_at": last.card_at}
        if last is not None and (phase in {Phase.OPEN, Phase.MADE} or phase in ENDED):
            known |= {"means": last.means, "decline": last.decline}
            out = phase is Phase.MADE or last.phase in {Phase.OPEN, Phase.MADE}  # What is out, is out under that one.
            known["mandate"] = last.mandate if out and phase is not Phase.LOST else None
        return structs.replace(self, retry=Retry(phase=phase, because=because, **{**known, **facts}))

    def adding(self, attempt: Attempt) -> "Payment":
        return structs.replace(self, attempts=(*self.attempts, attempt))


class Tally(Struct, frozen=True):
    """Minor units on one authorization. The row of the authorization keeps the same six numbers."""

    authorized: int = 0
    captured: int = 0
    voided: int = 0
    refunded: int = 0
    held: int = 0  # captures and voids asked, not final: they keep their room
    held_refund: int = 0

    @property
    def uncaptured(self) -> int:
        return self.authorized - self.captured - self.voided


def tally(p: Payment, authorization: Attempt) -> Tally:
    """Count the money on one authorization from the attempts that build on it."""
    if authorization.state is not State.APPROVED:
        return Tally()
    children = [a for a in p.attempts if a.parent == authorization.id]
    if not children and authorization.closed is None:  # Nearly every payment, nearly always.
        return Tally(authorization.money, authorization.money if authorization.sale else 0)

    def total(operation: Operation, states: frozenset[State]) -> int:
        return sum(a.money for a in children if a.operation is operation and a.state in states)

    approved = frozenset({State.APPROVED})
    authorized = max(authorization.money, raised(p, authorization) or 0)
    captured = authorized if authorization.sale else total(O.CAPTURE, approved)
    held = total(O.CAPTURE, OPEN) + total(O.VOID, OPEN)
    voided = total(O.VOID, approved)
    finals = [a for a in children if a.operation is O.CAPTURE and a.final]
    if any(a.state in OPEN for a in finals):  # Nothing else may be asked while a final capture is out.
        held = max(held, authorized - captured - voided)  # More, if one called refused was done after all.
    elif any(a.state is State.APPROVED for a in finals) or authorization.closed is Closed.EXPIRED:
        voided = authorized - captured - held  # The PSP released the rest by itself.
    return Tally(authorized, captured, voided, total(O.REFUND, approved), held, total(O.REFUND, OPEN))


def raised(p: Payment, authorization: Attempt) -> int | None:
    """The whole that increments have raised an authorization to: the most, in whatever order they were approved."""
    mine = [a for a in p.attempts if a.operation is O.INCREMENT and a.parent == authorization.id]
    return max((a.total or 0 for a in mine if a.state is State.APPROVED), default=None)


def authorization_of(p: Payment) -> Attempt | None:
    """The last attempt to authorize; the only one that can be live. A second success of one is none of ours."""
    for a in reversed(p.attempts):
        if a.parent is None and (a.operation is O.AUTHORIZE or a.operation is O.VERIFY):
            return a
    return None


def live(p: Payment) -> Attempt | None:
    """The authorization that moved money, or still may. There is never more than one.

    One that is being given back stands in the way of another until the PSP has taken it back.
    """
    a = authorization_of(p)
    if a is not None and a.state in LIVE and a.closed is None:
        return a
    return next((a for a in p.attempts if a.state is State.REVERSING), None)


def standing(p: Payment) -> Tally:
    """The tally of the last authorization, or of nothing."""
    a = authorization_of(p)
    return tally(p, a) if a is not None else Tally()


def captured_before(p: Payment) -> int:
    """Captured on earlier authorizations, which an expired one may have."""
    return sum(tally(p, a).captured for a in p.attempts if a.operation is O.AUTHORIZE)


# How much money is left to move, per operation. This is the whole rule book for amounts.
ROOM: dict[Operation, Callable[[Payment], int]] = {
    O.AUTHORIZE: lambda p: 0 if live(p) or captured_before(p) else p.minor,
    O.CAPTURE: lambda p: standing(p).uncaptured - standing(p).held,
    O.VOID: lambda p: standing(p).uncaptured - standing(p).held,
    O.REFUND: lambda p: standing(p).captured - standing(p).refunded - standing(p).held_refund,
    O.INCREMENT: lambda p: MINOR_MAX - standing(p).authorized,
    O.VERIFY: lambda p: 0,
}


def decide(p: Payment, operation: Operation, minor: int | None, **facts: Any) -> Payment:
    """May we ask a PSP for this? The payment returned has the new attempt, to be saved before it is sent.

    `minor` None means all that is left. `facts` go on the attempt (id, number, connector account, ...).
    An increment is asked by how much, and gets its `total`. Raises AuthorizationLive, AuthorizationNotApproved,
    AuthorizationExpired, AuthorizationCaptured, CaptureInFlight, IncrementInFlight, AmountExceedsRoom,
    AmountOutOfRange.
    """
    if operation is O.VERIFY:
        if p.minor or p.attempts:
            raise AuthorizationLive("a card is verified once, for nothing")
        return p.adding(Attempt(operation=operation, minor=0, **facts))
    authorization = authorization_of(p)
    if operation is O.AUTHORIZE:
        if live(p) or captured_before(p):
            raise AuthorizationLive("one authorization at a time; this one was not declined, voided or expired")
        parent = None
    else:
        if authorization is None or authorization.state not in {State.APPROVED, State.REVERSED}:
            raise AuthorizationNotApproved(f"nothing to {operation}: the authorization is not approved")
        if operation is not O.REFUND and authorization.closed is Closed.EXPIRED:
            raise AuthorizationExpired(f"nothing to {operation}: the authorization has expired")
        if authorization.state is State.REVERSED:
            raise AuthorizationNotApproved(f"nothing to {operation}: the authorization was reversed")
        parent = authorization.id
    refuse_meanwhile(p, operation)
    room = ROOM[operation](p)
    asked = room if minor is None and operation is not O.INCREMENT else minor or 0
    left = {"value": p.money(room).value, "currency": p.currency}
    if room == 0:
        raise AmountExceedsRoom(f"nothing is left to {operation}", room=left)
    if asked <= 0:
        raise AmountMustBePositive("an amount to move is more than zero", param="amount.value")
    if operation is O.INCREMENT:
        if asked > room:
            raise AmountOutOfRange(f"the largest amount is {p.money(MINOR_MAX)}", param="amount.value")
        facts["total"] = standing(p).authorized + asked
    elif asked > room:
        raise AmountExceedsRoom(
            f"{operation} of {p.money(asked)}, but {p.money(room)} is left",
            param="amount",
            room=left,
        )
    return p.adding(Attempt(operation=operation, minor=asked, parent=parent, **facts))


def refuse_meanwhile(p: Payment, operation: Operation) -> None:
    """What has to wait for the outcome of something else.

    Raises CaptureInFlight, IncrementInFlight, AuthorizationCaptured.
    """
    out = {a.operation for a in p.attempts if a.state in OPEN}
    if operation is O.VOID and O.CAPTURE in out:
        raise CaptureInFlight("a capture has not concluded; its outcome decides what is left to void")
    if operation in {O.VOID, O.INCREMENT} and O.INCREMENT in out:
        raise IncrementInFlight("an increment has not concluded; its outcome decides how much is authorized")
    if operation is O.INCREMENT and out & {O.CAPTURE, O.VOID}:
        raise CaptureInFlight("a capture or void has not concluded; what it takes from cannot be raised meanwhile")
    if operation is O.INCREMENT and (standing(p).captured or not standing(p).uncaptured):
        raise AuthorizationCaptured("nothing can be added: it was captured or voided")


def status_of(p: Payment) -> str:
    """The one word shown to callers. Computed; stored only as an index."""
    authorization = authorization_of(p)
    if authorization is None:
        return "failed" if p.failure else "processing"
    t = tally(p, authorization)
    if t.captured:
        if t.refunded:
            return "refunded" if t.refunded == t.captured else "partially_refunded"
        return "captured" if t.captured + t.voided == t.authorized else "partially_captured"
    match authorization.state:
        case State.APPROVED:
            return str(authorization.closed or "authorized")
        case State.REVERSING:
            return str(Closed.VOIDED)  # It never counted, and it is on its way back.
        case State.REVERSED:
            return str(authorization.closed or "failed")
        case State.ACTION_REQUIRED:
            return "requires_action"
        case State.DECLINED:
            return "declined"
        case State.REJECTED:
            return "failed"
        case _:
            return "processing"


def certain(p: Payment) -> bool:
    """No attempt is out whose outcome we cannot tell."""
    return not any(a.state in {State.SENT, State.UNKNOWN} for a in p.attempts)
