"""What succeeds when nobody waits for it any more: authorizations that we had given up, or a second time.

They always leave a break. The money is given back by an attempt of its own, or kept where policy says so and nothing
else of the payment is live. `State.REVERSING` is the work order: it lasts until the PSP has taken the money back.
"""

from enum import StrEnum
from typing import Any

from msgspec import structs

from scrooge.domain.attempt import OPEN, Attempt, Closed, Operation, State
from scrooge.domain.learn import learned
from scrooge.domain.outcome import Approved, Outcome, Rejected
from scrooge.domain.payment import Payment, authorization_of, captured_before, live
from scrooge.ids import twin_of

# Microseconds between returns of one authorization that the PSP refuses, doubling from the first to the second.
AGAIN, AGAIN_MOST = 10_000_000, 6 * 3_600_000_000


class Late(StrEnum):
    """What becomes of a success that comes too late."""

    REFUND = "refund"
    KEEP = "keep"


def unwanted(p: Payment, a: Attempt, outcome: Outcome, at: int, policy: Late) -> Payment | None:
    """The payment when this news is a success that nobody waits for; None when it is any other news."""
    if a.operation is not Operation.AUTHORIZE or not isinstance(outcome, Approved):
        return None
    if ended(a):
        return late(p, a, outcome, at, policy)
    again = outcome.psp_reference
    if a.approved_minor is None or not a.psp_reference or not again or again == a.psp_reference:
        return None
    known = any(x.operation is Operation.AUTHORIZE and x.psp_reference == again for x in p.attempts)
    return p if known else second(p, a, outcome, at)


def done_after_all(a: Attempt, outcome: Outcome) -> bool:
    """A capture, void or refund that a PSP called refused, and did: it happened, so it counts.

    One whose idempotency failed does the first request and refuses the replay, for which there is no room any more.
    """
    return (
        a.operation is not Operation.AUTHORIZE
        and a.state in {State.DECLINED, State.REJECTED}
        and isinstance(outcome, Approved)
    )


def ended(a: Attempt) -> bool:
    """Unapproved, as far as anybody was told. (Taken back by the PSP before its approval was heard is no such end.)"""
    given_up = a.state is State.REVERSED and a.closed is not None and a.approved_minor is None
    return given_up or a.state in {State.DECLINED, State.REJECTED}


def late(p: Payment, a: Attempt, outcome: Approved, at: int, policy: Late) -> Payment:
    """Approved after it had ended: ours after all where nothing else is, or on its way back."""
    free = live(p) is None and not captured_before(p)
    facts = learned(structs.replace(a, state=State.APPROVED), outcome, at)
    last = authorization_of(p)  # An earlier one that was kept would not be what the payment's status tells.
    if policy is Late.KEEP and free and last is not None and last.id == a.id:
        kept = structs.replace(facts, closed=None, decline=None, raw_code=None, raw_message=None)
        return p.replacing(structs.replace(kept, network_code=None, advice_code=None))
    # Where nothing else is live it stands in the way of another authorization, by constraint, until it is undone.
    back = structs.replace(
        facts,
        state=State.REVERSING,
        closed=None if free else Closed.VOIDED,
        reason=f"approved after it had ended as {a.closed or a.state}; it is given back",
    )
    return p.replacing(back)


def second(p: Payment, a: Attempt, outcome: Approved, at: int) -> Payment:
    """One attempt, approved twice under two names at the PSP: its idempotency failed, and money moved twice."""
    number = len(p.attempts) + 1
    assert outcome.psp_reference is not None
    twin = Attempt(
        id=twin_of(a.id, outcome.psp_reference),
        number=number,
        operation=Operation.AUTHORIZE,
        minor=a.minor,
        connector_account=a.connector_account,
        state=State.APPROVED,
        parent=a.id,
        sale=a.sale,
        reference=f"{p.id}-{number}",
        sent_at=at,
    )
    reason = f"a second success of {a.reference}; it is given back"
    facts = learned(twin, outcome, at)
    return p.adding(structs.replace(facts, state=State.REVERSING, closed=Closed.VOIDED, reason=reason))


# --- giving it back -------------------------------------------------------------------------


def giving_back(p: Payment, a: Attempt, at: int, **facts: Any) -> Payment | None:
    """The payment with an attempt that gives the money back; None while one is out, or it is too early for another.

    `facts` go on the new attempt (its id). A PSP that goes on refusing is asked ever more rarely, for ever.
    """
    tried = returns_of(p, a)
    if not waits_to_go_back(p, a):
        return None
    if tried and at < tried[-1].sent_at + min(AGAIN << min(len(tried), 20), AGAIN_MOST):
        return None
    operation = Operation.REFUND if a.sale else Operation.VOID
    number = len(p.attempts) + 1
    back = Attempt(
        operation=operation,
        number=number,
        minor=a.money,
        parent=a.id,
        connector_account=a.connector_account,
        reference=f"{p.id}-{number}",
        sent_at=at,
        **facts,
    )
    return p.adding(back)


def returns_of(p: Payment, a: Attempt) -> list[Attempt]:
    return [x for x in p.attempts if x.parent == a.id and x.operation in {Operation.VOID, Operation.REFUND}]


def waits_to_go_back(p: Payment, a: Attempt) -> bool:
    """Unwanted, and no void or refund of it is out. Then operators, too, may say that it went back."""
    return a.state is State.REVERSING and not any(x.state in OPEN for x in returns_of(p, a))


def with_return(p: Payment, before: Attempt, moved: Attempt, outcome: Outcome, at: int) -> Payment:
    """What the end of a void or refund means for the authorization that it was to give back."""
    parent = next((a for a in p.attempts if a.id == moved.parent), None)
    no_return = {Operation.AUTHORIZE, Operation.INCREMENT}
    if parent is None or moved.operation in no_return or moved.state is before.state:
        return p
    done = moved.state is State.APPROVED or (isinstance(outcome, Rejected) and outcome.already)
    if parent.state is State.REVERSING and done:
        closed = parent.closed or Closed.VOIDED
        return p.replacing(structs.replace(parent, state=State.REVERSED, closed=closed, concluded_at=at))
    failed = moved.state is State.REVERSED and before.state is State.APPROVED
    if parent.state is State.REVERSED and failed:  # The payer's bank would not take it: ours to give back again.
        return p.replacing(structs.replace(parent, state=State.REVERSING))
    return p


def breaks_of(before: Payment, after: Payment) -> list[tuple[str, Attempt]]:
    """(kind, attempt) of what an operator has to know of this change."""
    known = {a.id: a for a in before.attempts}
    found = []
    for a in after.attempts:
        old = known.get(a.id)
        if old is None:
            found += [("second_success", a)] if a.state is State.REVERSING else []
        elif a.state is State.REVERSING and old.state is not State.REVERSING:
            found.append(("return_failed" if old.approved_minor is not None else "late_success", a))
        elif a.state is State.APPROVED and ended(old):
            found.append(("late_success", a))
    return found
