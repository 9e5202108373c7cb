"""Amounts stay sane for any caller, any PSP and any order of answers; statuses read as people mean them."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from msgspec import structs

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import LIVE, OPEN, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.late import breaks_of
from scrooge.domain.news import hear
from scrooge.domain.payment import ROOM, Payment, decide, live, standing, status_of, tally
from scrooge.errors import (
    AmountExceedsRoom,
    AmountMustBePositive,
    AuthorizationExpired,
    AuthorizationLive,
    AuthorizationNotApproved,
    CaptureInFlight,
    ContradictoryOutcome,
    Problem,
)
from scrooge.money import Money

DECLINED = oc.Declined(Decline.INSUFFICIENT_FUNDS, "51")
EXPIRED = oc.Reversed("lapsed", oc.ReversalKind.EXPIRED)
EXAMPLES = [
    oc.Approved("psp"),
    oc.Pending("psp"),
    oc.ActionRequired(oc.NextAction("https://acs.example")),
    DECLINED,
    oc.Rejected(""),
    oc.Reversed(""),
    EXPIRED,
    oc.Reversed("", oc.ReversalKind.CANCELED),
    oc.Unknown(""),
]


def a_payment(minor: int = 1000, *, sale: bool = False) -> Payment:
    return Payment(
        id="pay_1", merchant="mer_1", caller="clr_1", reference="order-1", minor=minor, currency="EUR", sale=sale
    )


def asked(p: Payment, operation: Operation, minor: int | None = None, **facts: object) -> Payment:
    number = len(p.attempts) + 1
    sale = p.sale and operation is Operation.AUTHORIZE
    return decide(p, operation, minor, id=f"att_{number}", number=number, connector_account="con_1", sale=sale, **facts)


def told(p: Payment, outcome: oc.Outcome, attempt: int = -1) -> Payment:
    return hear(p, p.attempts[attempt].id, outcome, 1)


def done(p: Payment, operation: Operation, minor: int | None = None, **facts: object) -> Payment:
    return told(asked(p, operation, minor, **facts), oc.Approved("psp"))


A, C, V, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND
I = Operation.INCREMENT  # noqa: E741 - read aloud in the stories


def most(p: Payment) -> int:
    """What was ever asked to be authorized."""
    return max([p.minor, *(a.total or 0 for a in p.attempts)])


class Payments(RuleBasedStateMachine):
    """Any caller, any PSP, any order of answers."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.payment = a_payment(100)

    @rule(
        target=attempts, operation=st.sampled_from(Operation), minor=st.integers(1, 120) | st.none(),
        sale=st.booleans(), final=st.booleans(),
    )  # fmt: skip
    def ask(self, operation: Operation, minor: int | None, sale: bool, final: bool):
        self.payment = structs.replace(self.payment, sale=sale)
        try:
            self.payment = asked(self.payment, operation, minor, final=final and operation is C)
        except Problem:
            return multiple()
        return self.payment.attempts[-1].id

    @rule(attempt=attempts, outcome=st.sampled_from(EXAMPLES))
    def tell(self, attempt: str, outcome: oc.Outcome):
        try:
            after = hear(self.payment, attempt, outcome, 1)
        except ContradictoryOutcome:
            return  # Refused whole: the invariants must hold on the payment as it was.
        assert hear(after, attempt, outcome, 2) == after, "the same news twice changed something"
        self.payment = after

    @invariant()
    def money_is_never_moved_twice(self):
        for a in self.payment.attempts:
            if a.operation is A:
                t = tally(self.payment, a)
                assert 0 <= t.refunded + t.held_refund <= t.captured
                assert t.captured + t.voided + t.held <= t.authorized <= most(self.payment)
                assert min(t.captured, t.voided, t.held, t.refunded, t.held_refund) >= 0

    @invariant()
    def one_authorization_at_most_is_live(self):
        alive = [a for a in self.payment.attempts if a.operation is A and a.state in LIVE and a.closed is None]
        assert len(alive) <= 1

    @invariant()
    def nothing_promised_can_break_that(self):
        """Even if every open attempt is approved later, in any order."""
        p = self.payment
        for a in self.payment.attempts:
            if a.state in OPEN:
                p = hear(p, a.id, oc.Approved("psp"), 3)
        assert all(room(p) >= 0 for room in ROOM.values())
        captured = sum(tally(p, a).captured for a in p.attempts if a.operation is A)
        assert captured <= most(p)

    @invariant()
    def it_always_has_a_status(self):
        assert status_of(self.payment)


TestPayments = Payments.TestCase
TestPayments.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("final", [False, True])
def test_a_capture_that_was_refused_is_not_done_after_all_while_another_has_its_room(final):
    """Both would be more than was authorized: it is kept as a contradiction, whatever becomes of the other."""
    p = told(asked(done(a_payment(), A), C), DECLINED)
    refused = p.attempts[-1].id
    p = asked(p, C, None, final=final)
    with pytest.raises(ContradictoryOutcome):
        hear(p, refused, oc.Approved("psp"), 1)
    assert standing(told(p, oc.Approved("psp"))).captured == p.minor


# Read each line as a story: what happened, then the status and authorized/captured/voided/refunded.
STORIES = [
    ([(A, None, {})], "authorized", (1000, 0, 0, 0)),
    ([(A, None, {}), (C, 1000, {})], "captured", (1000, 1000, 0, 0)),
    ([(A, None, {}), (C, 400, {})], "partially_captured", (1000, 400, 0, 0)),
    ([(A, None, {}), (C, 400, {}), (C, 600, {})], "captured", (1000, 1000, 0, 0)),
    ([(A, None, {}), (C, 400, {"final": True})], "captured", (1000, 400, 600, 0)),
    ([(A, None, {}), (C, 400, {}), (V, None, {})], "captured", (1000, 400, 600, 0)),
    ([(A, None, {}), (V, None, {})], "voided", (1000, 0, 1000, 0)),
    ([(A, None, {}), (C, None, {}), (R, 300, {})], "partially_refunded", (1000, 1000, 0, 300)),
    ([(A, None, {}), (C, None, {}), (R, 300, {}), (R, 700, {})], "refunded", (1000, 1000, 0, 1000)),
    ([(A, None, {}), (C, 400, {"final": True}), (R, None, {})], "refunded", (1000, 400, 600, 400)),
    ([(A, None, {}), (I, 300, {})], "authorized", (1300, 0, 0, 0)),
    ([(A, None, {}), (I, 300, {}), (I, 200, {}), (C, None, {})], "captured", (1500, 1500, 0, 0)),
    ([(A, None, {}), (I, 300, {}), (C, 1200, {"final": True})], "captured", (1300, 1200, 100, 0)),
    ([(A, None, {}), (I, 300, {}), (V, None, {})], "voided", (1300, 0, 1300, 0)),
    ([(A, None, {}), (I, 300, {}), (C, None, {}), (R, 1300, {})], "refunded", (1300, 1300, 0, 1300)),
]


@pytest.mark.parametrize(("steps", "status", "amounts"), STORIES)
def test_the_life_of_a_payment(steps, status, amounts):
    p = a_payment()
    for operation, minor, facts in steps:
        p = done(p, operation, minor, **facts)
    t = standing(p)
    assert (status_of(p), (t.authorized, t.captured, t.voided, t.refunded)) == (status, amounts)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (oc.Approved("psp"), "captured"),
        (oc.Pending("psp"), "processing"),
        (oc.ActionRequired(oc.NextAction("https://acs.example")), "requires_action"),
        (DECLINED, "declined"),
        (oc.Rejected("not sent"), "failed"),
        (oc.Unknown("timeout"), "processing"),
        (EXPIRED, "expired"),
        (oc.Reversed("capture failed"), "failed"),
    ],
)
def test_the_status_of_a_sale_follows_its_outcome(outcome, status):
    assert status_of(told(asked(a_payment(sale=True), A), outcome)) == status


def test_a_partial_approval_counts_what_was_approved():
    p = told(asked(a_payment(), A), oc.Approved("psp", Money(600, "EUR"), partial=True))
    assert standing(p).authorized == 600
    with pytest.raises(AmountExceedsRoom):
        asked(p, C, 601)


def test_money_in_flight_keeps_its_room():
    p = asked(done(a_payment(), A), C, 700)
    with pytest.raises(AmountExceedsRoom) as refusal:
        asked(p, C, 301)
    assert refusal.value.members["room"] == {"value": "3.00", "currency": "EUR"}
    assert status_of(told(asked(p, C, 300), oc.Approved("psp"))) == "partially_captured"


def test_refunds_in_flight_keep_their_room():
    p = asked(done(done(a_payment(), A), C), R, 600)
    with pytest.raises(AmountExceedsRoom):
        asked(p, R, 401)
    unknown = told(p, oc.Unknown("timeout"))
    with pytest.raises(AmountExceedsRoom):
        asked(unknown, R, 401)


def test_nothing_else_may_be_asked_while_a_final_capture_is_out():
    p = asked(done(a_payment(), A), C, 400, final=True)
    with pytest.raises(AmountExceedsRoom):
        asked(p, C, 1)
    with pytest.raises(CaptureInFlight):
        asked(p, V)
    declined = told(p, oc.Rejected("not sent"))
    assert ROOM[C](declined) == 1000, "a final capture that failed gives its room back"


@pytest.mark.parametrize("minor", [0, -1])
def test_an_amount_is_more_than_zero(minor: int):
    with pytest.raises(AmountMustBePositive):
        asked(done(a_payment(), A), C, minor)


@pytest.mark.parametrize("outcome", [DECLINED, EXPIRED, oc.Rejected("not sent")])
def test_a_fresh_authorization_may_follow_one_that_ended(outcome: oc.Outcome):
    p = asked(told(asked(a_payment(), A), outcome), A)
    assert status_of(told(p, oc.Approved("psp"))) == "authorized"


def test_a_fresh_authorization_may_follow_a_full_void_and_an_expiry():
    voided = done(done(a_payment(), A), V)
    expired = told(done(a_payment(), A), EXPIRED)
    for p in (voided, expired):
        assert live(p) is None
        assert status_of(done(p, A)) == "authorized"


def test_a_void_that_failed_after_all_opens_its_authorization_again():
    voided = done(done(a_payment(), A), V)
    opened = hear(voided, voided.attempts[1].id, oc.Reversed("failed"), 2)
    assert live(opened) is opened.attempts[0]
    assert status_of(opened) == "authorized"
    with pytest.raises(AuthorizationLive):
        asked(opened, A)
    assert status_of(done(opened, C)) == "captured"


@pytest.mark.parametrize("meanwhile", [oc.Approved("psp"), oc.Unknown("timeout"), DECLINED])
def test_a_void_that_failed_after_another_authorization_is_for_an_operator(meanwhile: oc.Outcome):
    voided = done(done(a_payment(), A), V)
    followed = told(asked(voided, A), meanwhile)
    with pytest.raises(ContradictoryOutcome):
        hear(followed, voided.attempts[1].id, oc.Reversed("failed"), 2)


@pytest.mark.parametrize("outcome", [oc.Unknown("timeout"), oc.Pending("psp"), oc.Approved("psp")])
def test_no_second_authorization_beside_one_that_may_have_moved_money(outcome: oc.Outcome):
    p = told(asked(a_payment(), A), outcome)
    with pytest.raises(AuthorizationLive):
        asked(p, A)


def test_no_second_authorization_once_something_was_captured():
    p = done(done(a_payment(), A), C, 400)
    lapsed = told(p, EXPIRED, 0)
    assert status_of(lapsed) == "captured", "what was captured stays; the rest is released"
    assert standing(lapsed).voided == 600
    with pytest.raises(AuthorizationLive):
        asked(lapsed, A)


def test_an_expired_authorization_takes_no_capture_but_what_was_captured_can_be_refunded():
    with pytest.raises(AuthorizationExpired):
        asked(told(done(a_payment(), A), EXPIRED), C, 1)
    lapsed = told(done(done(a_payment(), A), C, 400), EXPIRED, 0)
    assert status_of(done(lapsed, R, 400)) == "refunded"


@pytest.mark.parametrize("operation", [C, V, R])
def test_nothing_builds_on_an_authorization_that_is_not_approved(operation: Operation):
    with pytest.raises(AuthorizationNotApproved):
        asked(told(asked(a_payment(), A), DECLINED), operation, 1)
    with pytest.raises((AuthorizationNotApproved, AmountExceedsRoom)):
        asked(a_payment(), operation, 1)


def test_an_authorization_with_captures_cannot_be_declared_failed():
    p = done(done(a_payment(), A), C, 400)
    with pytest.raises(ContradictoryOutcome):
        told(p, oc.Reversed("failed"), 0)


def test_a_capture_that_was_refunded_cannot_be_declared_failed():
    p = done(done(done(a_payment(), A), C), R, 100)
    with pytest.raises(ContradictoryOutcome):
        told(p, oc.Reversed("capture failed"), 1)


def test_a_failed_capture_gives_its_room_back():
    p = told(done(done(a_payment(), A), C, 400), oc.Reversed("capture failed"))
    assert (status_of(p), ROOM[C](p)) == ("authorized", 1000)


def test_the_psp_reference_is_never_lost_even_by_news_that_changes_nothing():
    p = told(asked(a_payment(), A), oc.Unknown("HTTP 500"))
    assert told(p, oc.Unknown("unreadable", "pi_1")).attempts[0].psp_reference == "pi_1"
    assert p.attempts[0].state is State.UNKNOWN


def test_an_authorization_approved_after_its_payer_was_given_up_is_never_swallowed():
    """It means the PSP took money that we had said it did not: it is on its way back, and an operator is told."""
    waiting = told(asked(a_payment(sale=True), A), oc.ActionRequired(oc.NextAction("https://acs.example")))
    given_up = told(waiting, EXPIRED)
    after = told(given_up, oc.Approved("psp"))
    assert (after.attempts[0].state, status_of(after)) == (State.REVERSING, "voided")
    assert breaks_of(given_up, after) == [("late_success", after.attempts[0])]


def test_a_sale_whose_capture_failed_before_we_heard_of_its_approval_stays_failed():
    p = told(asked(a_payment(sale=True), A), oc.Reversed("capture failed"))
    assert status_of(told(p, oc.Approved("psp"))) == "failed"


def test_a_doubt_that_was_settled_is_not_told_any_more():
    p = told(told(asked(a_payment(), A), oc.Unknown("timeout")), oc.Approved("psp"))
    assert p.attempts[0].reason is None


def test_a_card_is_verified_once_and_holds_nothing():
    p = asked(a_payment(0), Operation.VERIFY)
    assert status_of(p) == "processing"
    with pytest.raises(AuthorizationLive):
        asked(p, Operation.VERIFY)
    verified = told(p, oc.Approved("psp"))
    assert (standing(verified).authorized, live(verified)) == (0, verified.attempts[0])
    for operation in (A, C, V, R, I):
        with pytest.raises(Problem):
            asked(verified, operation, 1)
    assert status_of(told(p, DECLINED)) == "declined"
    with pytest.raises(AuthorizationLive):
        asked(a_payment(), Operation.VERIFY)
