"""One door for news: a reply, a notification, an inquiry and a settlement line all come through `hear`."""

from msgspec import structs

from scrooge.domain.attempt import LIVE, Attempt, Closed, Operation, State, advance
from scrooge.domain.late import Late, done_after_all, unwanted, with_return
from scrooge.domain.learn import learned
from scrooge.domain.mandate import ACTIVATED, UPDATED, WITHDRAWN
from scrooge.domain.outcome import ActionRequired, Approved, Outcome, ReversalKind, Reversed
from scrooge.domain.payment import Payment, authorization_of, tally
from scrooge.errors import ContradictoryOutcome, NothingToAuthenticate

OF_ALL = ("approved", "declined", "rejected", "unknown", "pending", "reversed")
OF_AUTHORIZATIONS = (*OF_ALL, "action_required", "expired", "reversing")
REVIEW = "payment_review_wanted"  # the risk check wants somebody to look at it
FAILED = "payment_failed"  # before any PSP was asked
NEEDED = "customer_needed"  # nothing but the payer can make a declined payment better
LATER = ("retry_scheduled", "retry_ended", NEEDED)
OF_STORED_VALUE = ("stored_value_loaded", "stored_value_adjusted", "stored_value_expired")
# Every type of event there is: what `event_of` can say, those that are of no attempt, what follows declines, and
# what becomes of mandates.
TYPES = (
    FAILED,
    REVIEW,
    *(f"{what}_{became}" for what in ("sale", "authorize") for became in OF_AUTHORIZATIONS),
    *(f"{what}_{became}" for what in ("capture", "void", "refund", "increment", "verify") for became in OF_ALL),
    "verify_action_required",
    *LATER,
    ACTIVATED,
    UPDATED,
    WITHDRAWN,
    *OF_STORED_VALUE,
)
TEST = "test"  # to webhook endpoints only, when their merchant asks for it


def hear(p: Payment, attempt_id: str, outcome: Outcome, at: int, policy: Late = Late.REFUND) -> Payment:
    """The payment after this news, or the same payment when it teaches nothing. `at` is Unix microseconds.

    `policy` says what becomes of an authorization that succeeds when nobody waits for it any more. Order does not
    matter and repetition changes nothing. Raises ContradictoryOutcome, changing nothing, when the news cannot be true
    together with what is known.
    """
    attempt = p.attempt(attempt_id)
    if lapsed_with_captures(p, attempt, outcome):
        moved = structs.replace(attempt, closed=Closed.EXPIRED)
    elif done_after_all(attempt, outcome):
        moved = learned(structs.replace(attempt, state=State.APPROVED, decline=None), outcome, at)
    else:
        late = unwanted(p, attempt, outcome, at, policy)
        if late is not None:
            return late
        refuse_second_success(attempt, outcome)
        after = advance(attempt.state, outcome)
        if after is attempt.state and not isinstance(outcome, ActionRequired):
            return learned_reference(p, attempt, outcome)
        moved = learned(structs.replace(attempt, state=after), outcome, at)
    moved = released_before(p, moved)
    changed = with_void_closed(with_expiry(p.replacing(moved), moved))
    changed = with_return(changed, attempt, moved, outcome, at)
    refuse_impossible(changed, attempt, moved)
    return changed if changed != p else p


def continuing(p: Payment, attempt_id: str, at: int) -> Payment:
    """The payer came back: the attempt is out at the PSP again. Raises NothingToAuthenticate."""
    attempt = p.attempt(attempt_id)
    if attempt.state is not State.ACTION_REQUIRED:
        raise NothingToAuthenticate("the payment does not wait for the payer")
    return p.replacing(structs.replace(attempt, state=State.SENT, sent_at=at))


def refuse_second_success(attempt: Attempt, outcome: Outcome) -> None:
    """A capture or refund that the PSP did twice under two names: no void or refund undoes that by itself."""
    named = attempt.psp_reference
    again = outcome.psp_reference if isinstance(outcome, Approved) else None
    modified = attempt.operation is not Operation.AUTHORIZE and attempt.state is State.APPROVED
    if modified and named and again and again != named:
        raise ContradictoryOutcome(f"{attempt.id} was approved as {named}, and again as {outcome.psp_reference}")


def lapsed_with_captures(p: Payment, attempt: Attempt, outcome: Outcome) -> bool:
    """An authorization that expires after a partial capture keeps what was captured."""
    return (
        isinstance(outcome, Reversed)
        and outcome.kind is not ReversalKind.FAILED
        and attempt.operation is Operation.AUTHORIZE
        and not attempt.sale
        and tally(p, attempt).captured > 0
    )


def learned_reference(p: Payment, attempt: Attempt, outcome: Outcome) -> Payment:
    """Even news that changes no state may name the PSP's reference, which must not be lost."""
    if outcome.psp_reference and attempt.psp_reference is None:
        return p.replacing(structs.replace(attempt, psp_reference=outcome.psp_reference))
    return p


def with_void_closed(p: Payment) -> Payment:
    """An authorization is closed while all of it is voided; a void that failed after all opens it again."""
    for a in p.attempts:
        if a.operation is Operation.AUTHORIZE and a.state is State.APPROVED and not a.sale:
            if a.closed is Closed.EXPIRED:
                continue
            t = tally(p, a)
            closed = Closed.VOIDED if t.voided == t.authorized else None
            if closed is not a.closed:
                return p.replacing(structs.replace(a, closed=closed))
    return p


def released_before(p: Payment, moved: Attempt) -> Attempt:
    """An increment that succeeds when its authorization stands no more: what it added was released with the rest."""
    if moved.operation is not Operation.INCREMENT or moved.state is not State.APPROVED:
        return moved
    parent = p.attempt(moved.parent or "")
    if parent.state is State.APPROVED and parent.closed is None:
        return moved
    return structs.replace(moved, state=State.REVERSED, reason="the authorization that it raised stands no more")


def with_expiry(p: Payment, moved: Attempt) -> Payment:
    """An increment may prolong its authorization; none shortens it."""
    if moved.operation is not Operation.INCREMENT or moved.state is not State.APPROVED or moved.expires_at is None:
        return p
    parent = p.attempt(moved.parent or "")
    if parent.expires_at is not None and parent.expires_at >= moved.expires_at:
        return p
    return p.replacing(structs.replace(parent, expires_at=moved.expires_at))


def refuse_impossible(p: Payment, before: Attempt, moved: Attempt) -> None:
    """Money already stands on what the news would take away, or there would be more than there can be."""
    besides = {Operation.AUTHORIZE, Operation.INCREMENT}  # What an increment added goes as the rest goes.
    children = [a for a in p.attempts if a.parent == moved.id and a.operation not in besides]
    builds_on = [a for a in children if a.state in LIVE]
    if moved.state is State.REVERSED and before.state is State.APPROVED and builds_on:
        raise ContradictoryOutcome(f"{moved.id} {moved.state}: money already stands on it")
    for a in p.attempts:
        if a.operation is Operation.AUTHORIZE:
            t = tally(p, a)
            if min(t.voided, t.uncaptured - t.held, t.captured - t.refunded - t.held_refund) < 0:
                raise ContradictoryOutcome(f"{moved.id} {moved.state}: more than there is to move")
    alive = [a for a in p.attempts if a.operation is Operation.AUTHORIZE and a.state in LIVE and a.closed is None]
    last = authorization_of(p)
    # An earlier one that is being given back is alive by itself where nothing followed that could be.
    if len(alive) > 1 or any(a is not last and a.state is not State.REVERSING for a in alive):
        raise ContradictoryOutcome(f"{moved.id} {moved.state}: another authorization is live")


def event_of(before: Attempt | None, after: Attempt) -> str | None:
    """The event to announce for a change of one attempt, in the past tense; None when nothing happened.

    `before` None: the attempt is new. That it was sent is no event; a second success of another is.
    """
    what = "sale" if after.sale else str(after.operation)
    if before is None:
        return f"{what}_{after.state}" if after.state is State.REVERSING else None
    if after.state is not before.state:
        if after.state is State.SENT:
            return None
        expired = after.state is State.REVERSED and after.closed is Closed.EXPIRED
        return f"{what}_expired" if expired else f"{what}_{after.state}"
    if after.closed is not before.closed and after.closed is Closed.EXPIRED:
        return f"{what}_expired"
    return None
