"""All of the tenders pay, or none does, whatever each of them is answered and however often anybody looks."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from scrooge.domain.attempt import Attempt, Closed, Operation, State
from scrooge.domain.payment import Failure, Payment, decide, standing
from scrooge.domain.split import (
    Closing,
    Order,
    Share,
    Split,
    Tender,
    became,
    ended,
    held,
    own_capture,
    share_ended,
    status_of_split,
    total,
    tried,
)
from scrooge.domain.split_shares import rooms, shared
from scrooge.domain.split_steps import Act, Step, next_step
from scrooge.errors import AmountExceedsRoom, Problem
from scrooge.ids import new_id

NOW = 1_800_000_000_000_000
FATES = [State.APPROVED, State.DECLINED, State.REJECTED, State.PENDING, State.UNKNOWN, State.ACTION_REQUIRED]
IDS = [new_id("pay", 7) for _ in range(3)]


def split_of(*, sale: bool = True, minors: tuple[int, int] = (1250, 1750), **more: Any) -> Split:
    whole = Payment(
        id=IDS[0],
        merchant="mer_1",
        caller="clr_1",
        reference="r",
        minor=sum(minors),
        currency="EUR",
        sale=sale,
        tenders=2,
    )
    tenders = tuple(
        Tender(part, f"ins_{n}", minor) for n, (part, minor) in enumerate(zip(IDS[1:], minors, strict=True))
    )
    return Split(whole=whole, tenders=tenders, **{"parts": (None, None), **more})


def part(split: Split, place: int, state: State, **more: Any) -> Payment:
    """Asked, and answered so."""
    tender = split.tenders[place]
    p = Payment(
        id=tender.payment, merchant="mer_1", caller="clr_1", reference=tender.payment, minor=tender.minor, currency="EUR",
        sale=False, answered=True, part_of=split.whole.id,
    )  # fmt: skip
    facts = {"id": new_id("att", 7), "number": 1, "connector_account": "con_1", "sent_at": NOW}
    asked = decide(p, Operation.AUTHORIZE, None, **facts)
    return asked.replacing(structs.replace(asked.attempts[0], state=state, **more))


def having(split: Split, place: int, p: Payment) -> Split:
    return structs.replace(split, parts=tuple(p if n == place else old for n, old in enumerate(split.parts)))


def moved(p: Payment, operation: Operation, minor: int | None, state: State, reference: str | None = None) -> Payment:
    facts = {"id": new_id("att", 7), "number": len(p.attempts) + 1, "connector_account": "con_1", "sent_at": NOW}
    after = decide(p, operation, minor, caller_reference=reference, **facts)
    return answered(after, len(after.attempts) - 1, state)


def answered(p: Payment, place: int, state: State) -> Payment:
    a = structs.replace(p.attempts[place], state=state)
    p = p.replacing(a)
    if a.operation is Operation.VOID and state is State.APPROVED:
        return p.replacing(structs.replace(p.attempts[0], closed=Closed.VOIDED))
    return p


class Play:
    """Does what is next, and lets `fate` say how each request ends."""

    def __init__(self, split: Split, fates: list[State]) -> None:
        self.split, self.fates, self.now = split, fates, NOW

    def fate(self) -> State:
        return self.fates.pop(0) if self.fates else State.APPROVED

    def run(self) -> Split:
        for _ in range(200):
            step = next_step(self.split, self.now)
            if step.act is not Act.WAIT:
                self.take(step)
            elif not self.news():
                if step.at is None:
                    return self.settle()
                self.now = step.at
        raise AssertionError("it goes on for ever")

    def settle(self) -> Split:
        orders = tuple(structs.replace(o, ended=ended(self.split, o)) for o in self.split.orders)
        return structs.replace(self.split, orders=orders)

    def take(self, step: Step) -> None:
        split = self.split
        match step.act:
            case Act.AUTHORIZE:
                assert all(p is not None and standing(p).authorized for p in split.parts[: step.tender])
                self.split = having(split, step.tender, part(split, step.tender, self.fate()))
            case Act.CLOSE:
                assert not total(split).captured, "nothing is taken back of which something was taken"
                self.split = structs.replace(split, closing=step.closing)
            case Act.CAPTURE:
                shares = tuple(Share(n, Operation.CAPTURE, t.minor) for n, t in enumerate(split.tenders))
                order = Order(
                    id=own_capture(split.whole.id), operation=Operation.CAPTURE, minor=split.whole.minor, reference=None, final=False,
                    shares=shares,
                )  # fmt: skip
                self.split = structs.replace(split, orders=(order,))
            case Act.VOID:
                assert split.closing is not None
                p = moved(split.part(step.tender), Operation.VOID, None, self.fate_of_a_void())
                self.split = having(split, step.tender, p)
            case Act.SHARE:
                assert step.order is not None
                share = step.order.shares[step.share]
                name = tried(step.order.name, step.number)
                p = moved(split.part(share.tender), share.operation, share.minor, self.fate(), name)
                self.split = having(split, share.tender, p)

    def fate_of_a_void(self) -> State:
        return next((fate for fate in [self.fate()] if fate is not State.ACTION_REQUIRED), State.APPROVED)

    def news(self) -> bool:
        """What is out concludes, sometime."""
        for place, p in enumerate(self.split.parts):
            for n, a in enumerate(p.attempts if p is not None else ()):
                if p is not None and a.state in {State.PENDING, State.UNKNOWN, State.ACTION_REQUIRED, State.SENT}:
                    fate = self.fate()
                    final = fate if fate in {State.APPROVED, State.DECLINED, State.REJECTED} else State.APPROVED
                    self.split = having(self.split, place, answered(p, n, final))
                    return True
        return False


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(FATES), max_size=14), st.booleans())
def test_all_is_held_or_taken_or_nothing_is(fates: list[State], sale: bool):
    after = Play(split_of(sale=sale), fates).run()
    t, status = total(after), status_of_split(after)
    if after.closing is not None:
        assert (t.captured, held(after)) == (0, False)
        assert status == after.closing.status
    elif not sale:
        assert (t.authorized, status) == (3000, "authorized")
    elif t.captured == 3000:
        assert (status, became(after)) == ("captured", ["sale_approved"])
    else:  # One was captured, and the next refused for good: kept for a person to see.
        assert (t.captured, status) == (1250, "partially_captured")
        assert [o.ended for o in after.orders] in (["declined"], ["failed"])


@pytest.mark.parametrize(
    ("states", "act", "tender"),
    [
        ((), Act.AUTHORIZE, 0),
        ((State.SENT,), Act.WAIT, 0),
        ((State.UNKNOWN,), Act.WAIT, 0),
        ((State.ACTION_REQUIRED,), Act.WAIT, 0),
        ((State.PENDING,), Act.WAIT, 0),
        ((State.DECLINED,), Act.CLOSE, 0),
        ((State.REJECTED,), Act.CLOSE, 0),
        ((State.REVERSED,), Act.CLOSE, 0),
        ((State.APPROVED,), Act.AUTHORIZE, 1),
        ((State.APPROVED, State.UNKNOWN), Act.WAIT, 0),
        ((State.APPROVED, State.DECLINED), Act.CLOSE, 1),
        ((State.REVERSED, State.APPROVED), Act.CLOSE, 0),
        ((State.APPROVED, State.APPROVED), Act.CAPTURE, 0),
    ],
)
def test_what_is_next_while_tenders_are_asked(states: tuple[State, ...], act: Act, tender: int):
    split = split_of()
    for place, state in enumerate(states):
        split = having(split, place, part(split, place, state))
    step = next_step(split, NOW)
    assert (step.act, step.tender) == (act, tender)


def test_a_decline_that_may_be_followed_at_another_account_is_waited_for():
    split = split_of()
    p = structs.replace(part(split, 0, State.DECLINED), answered=False, deadline_at=NOW + 5)
    assert next_step(having(split, 0, p), NOW) == Step(Act.WAIT, at=NOW + 5)
    assert next_step(having(split, 0, p), NOW + 5).act is Act.CLOSE


def test_an_approval_of_less_than_the_tender_is_for_is_none():
    split = split_of()
    step = next_step(having(split, 0, part(split, 0, State.APPROVED, approved_minor=1249)), NOW)
    assert step.act is Act.CLOSE
    assert step.closing == Closing("failed", "tender_short", "an instrument was approved for less than its part", 0)


def test_a_part_that_nobody_takes_says_why():
    split = split_of()
    p = structs.replace(part(split, 0, State.SENT), attempts=(), failure=Failure(code="no_route", detail="nowhere"))
    assert next_step(having(split, 0, p), NOW).closing == Closing("failed", "no_route", "nowhere", 0)


def test_whatever_succeeds_after_it_was_given_up_is_released():
    split = structs.replace(split_of(), closing=Closing("declined", "tender_declined", "no", 1))
    split = having(split, 1, part(split, 1, State.APPROVED))
    assert next_step(split, NOW) == Step(Act.VOID, 1)


def test_a_void_that_is_refused_is_asked_again_ever_more_rarely():
    split = structs.replace(split_of(), closing=Closing("voided", "canceled", "c"))
    p = moved(part(split, 0, State.APPROVED), Operation.VOID, None, State.DECLINED)
    step = next_step(having(split, 0, p), NOW)
    assert (step.act, step.at) == (Act.WAIT, NOW + 4_000_000)
    assert step.at is not None
    assert next_step(having(split, 0, p), step.at) == Step(Act.VOID, 0, number=2)


def all_held(minors: tuple[int, int] = (1250, 1750)) -> Split:
    split = split_of(sale=False, minors=minors)
    for place in (0, 1):
        split = having(split, place, part(split, place, State.APPROVED))
    return split


def test_captures_fill_the_tenders_in_their_order_and_refunds_empty_them_from_the_last():
    split = all_held()
    capture, void = Operation.CAPTURE, Operation.VOID
    assert shared(split, capture, 1000) == [Share(0, capture, 1000)]
    assert shared(split, capture, 2000) == [Share(0, capture, 1250), Share(1, capture, 750)]
    assert shared(split, capture, 1000, final=True) == [Share(0, capture, 1000), Share(1, void, 1750)]
    assert shared(split, capture, None) == [Share(0, capture, 1250), Share(1, capture, 1750)]
    for place in (0, 1):
        split = having(split, place, moved(split.part(place), capture, None, State.APPROVED))
    refund = Operation.REFUND
    assert shared(split, refund, 1000) == [Share(1, refund, 1000)]
    assert shared(split, refund, 2000) == [Share(0, refund, 250), Share(1, refund, 1750)]
    assert shared(split, refund, 200, tender=0) == [Share(0, refund, 200)]
    with pytest.raises(AmountExceedsRoom):
        shared(split, refund, 1251, tender=0)
    with pytest.raises(AmountExceedsRoom):
        shared(split, capture, None)


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.sampled_from([Operation.CAPTURE, Operation.REFUND]),
    st.integers(1, 12_000), st.booleans(),
)  # fmt: skip
def test_shares_are_what_was_asked_and_no_part_does_more_than_it_can(
    minors: tuple[int, int], operation: Operation, minor: int, final: bool
):
    split = all_held(minors)
    if operation is Operation.REFUND:
        for place in (0, 1):
            split = having(split, place, moved(split.part(place), Operation.CAPTURE, None, State.APPROVED))
    room = rooms(split, operation)
    try:
        shares = shared(split, operation, minor, final=final)
    except Problem:
        assert minor > sum(room)
        return
    assert sum(share.minor for share in shares if share.operation is operation) == minor
    assert all(0 < share.minor <= room[share.tender] for share in shares)
    assert len({share.tender for share in shares}) == len(shares)


def test_what_was_promised_to_one_order_is_not_promised_to_another():
    split = all_held()
    for place in (0, 1):
        split = having(split, place, moved(split.part(place), Operation.CAPTURE, None, State.APPROVED))
    order = Order(
        id=new_id("att", 7), operation=Operation.REFUND, minor=2000, reference="a", final=False,
        shares=tuple(shared(split, Operation.REFUND, 2000)),
    )  # fmt: skip
    split = structs.replace(split, orders=(order,))
    assert rooms(split, Operation.REFUND) == [1000, 0]
    asked: Attempt = moved(split.part(1), Operation.REFUND, 1750, State.PENDING, order.name).attempts[-1]
    split = having(split, 1, split.part(1).adding(asked))
    assert rooms(split, Operation.REFUND) == [1000, 0], "asked for is counted once"


def capturing(*states: State) -> Split:
    """Both held, all of it to be captured, and so much of that asked."""
    split = all_held()
    split = structs.replace(split, whole=structs.replace(split.whole, sale=True))
    shares = tuple(Share(n, Operation.CAPTURE, t.minor) for n, t in enumerate(split.tenders))
    order = Order(
        id=own_capture(split.whole.id),
        operation=Operation.CAPTURE,
        minor=3000,
        reference=None,
        final=False,
        shares=shares,
    )
    for place, state in enumerate(states):
        minor = split.tenders[place].minor
        split = having(split, place, moved(split.part(place), Operation.CAPTURE, minor, state, order.name))
    return structs.replace(split, orders=(order,))


@pytest.mark.parametrize(
    ("states", "act", "tender", "how"),
    [
        ((), Act.SHARE, 0, None),
        ((State.SENT,), Act.WAIT, 0, None),
        ((State.UNKNOWN,), Act.WAIT, 0, None),
        ((State.PENDING,), Act.WAIT, 0, None),
        ((State.APPROVED,), Act.SHARE, 1, None),
        ((State.DECLINED,), Act.CLOSE, 0, "declined"),
        ((State.REVERSED,), Act.CLOSE, 0, "failed"),
        ((State.REJECTED,), Act.WAIT, 0, None),
        ((State.APPROVED, State.UNKNOWN), Act.WAIT, 0, None),
        ((State.APPROVED, State.DECLINED), Act.WAIT, 0, "declined"),
        ((State.APPROVED, State.APPROVED), Act.WAIT, 0, "succeeded"),
    ],
)
def test_what_is_next_while_tenders_are_captured(states: tuple[State, ...], act: Act, tender: int, how: str | None):
    split = capturing(*states)
    step = next_step(split, NOW)
    assert (step.act, step.tender, ended(split, split.orders[0])) == (act, tender, how)


@pytest.mark.parametrize(("state", "how"), [(State.REJECTED, "failed"), (State.APPROVED, "succeeded")])
def test_what_a_caller_captures_after_the_own_capture_failed_is_the_callers(state: State, how: str):
    split = capturing(State.APPROVED, State.DECLINED)
    order = Order(
        id=new_id("att", 7), operation=Operation.CAPTURE, minor=500, reference=None, final=False,
        shares=(Share(1, Operation.CAPTURE, 500),),
    )  # fmt: skip
    split = having(split, 1, moved(split.part(1), Operation.CAPTURE, 500, state, order.name))
    split = structs.replace(split, orders=(structs.replace(split.orders[0], ended="declined"), order))
    assert share_ended(split, order, 0) == how, "asked once: it is for its caller to ask again"
    assert "sale_approved" not in became(split)


@pytest.mark.parametrize("taken", [State.REJECTED, State.APPROVED])
def test_what_expires_after_a_capture_that_failed_is_paid_by_nobody(taken: State):
    split = all_held()
    order = Order(
        id=new_id("att", 7), operation=Operation.CAPTURE, minor=500, reference="a", final=False,
        shares=(Share(0, Operation.CAPTURE, 500),), ended="failed",
    )  # fmt: skip
    split = having(split, 0, moved(split.part(0), Operation.CAPTURE, 500, taken, order.name))
    split = structs.replace(split, orders=(order,))
    assert next_step(split, NOW).act is Act.WAIT, "its caller may ask again"
    p = split.part(1)
    split = having(split, 1, p.replacing(structs.replace(p.attempts[0], closed=Closed.EXPIRED)))
    step = next_step(split, NOW)
    assert (step.act, step.closing.status if step.closing else None) == (
        (Act.CLOSE, "expired") if taken is State.REJECTED else (Act.WAIT, None)
    )
