"""Raising an authorization: the old one stands until the new amount is approved, and nothing is counted twice."""

import pytest
from tests.domain.test_payment import DECLINED, EXPIRED, A, C, I, R, V, a_payment, asked, done, told

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import Closed, State
from scrooge.domain.news import hear
from scrooge.domain.payment import ROOM, live, standing, status_of
from scrooge.errors import (
    AmountMustBePositive,
    AmountOutOfRange,
    AuthorizationCaptured,
    AuthorizationExpired,
    AuthorizationNotApproved,
    CaptureInFlight,
    IncrementInFlight,
    Problem,
)
from scrooge.ledger.postings import journal
from scrooge.money import MINOR_MAX

APPROVED = oc.Approved("psp")


def test_only_an_approved_increment_gives_room():
    p = asked(done(a_payment(), A), I, 300)
    assert (p.attempts[-1].minor, p.attempts[-1].total) == (300, 1300)
    assert ROOM[C](p) == 1000, "what is asked is not there yet"
    assert ROOM[C](told(p, APPROVED)) == 1300
    for no in (DECLINED, oc.Rejected("not sent"), oc.Unknown("timeout")):
        stands = told(p, no)
        assert (standing(stands).authorized, status_of(stands)) == (1000, "authorized"), "the old one stands"


def test_each_increment_is_asked_as_the_whole_amount():
    p = asked(done(done(a_payment(), A), I, 300), I, 200)
    assert (p.attempts[-1].minor, p.attempts[-1].total) == (200, 1500)


REFUSED = [
    ([(A, DECLINED)], AuthorizationNotApproved),
    ([(A, oc.Unknown("timeout"))], AuthorizationNotApproved),
    ([(A, EXPIRED)], AuthorizationExpired),
    ([(A, APPROVED), (V, APPROVED)], AuthorizationCaptured),
    ([(A, APPROVED), (V, oc.Pending("psp"))], CaptureInFlight),
    ([(A, APPROVED), (C, oc.Unknown("timeout"))], CaptureInFlight),
    ([(A, APPROVED), (C, APPROVED)], AuthorizationCaptured),
    ([(A, APPROVED), (I, oc.Pending("psp"))], IncrementInFlight),
]


@pytest.mark.parametrize(("steps", "problem"), REFUSED)
def test_an_increment_is_refused_where_it_could_not_be_counted(steps, problem: type[Problem]):
    p = a_payment()
    for operation, outcome in steps:
        p = told(asked(p, operation, None if operation is A or operation is V else 400), outcome)
    with pytest.raises(problem):
        asked(p, I, 100)


def test_an_expired_authorization_with_captures_is_not_raised():
    p = told(done(done(a_payment(), A), C, 400), EXPIRED, 0)
    assert p.attempts[0].closed is Closed.EXPIRED
    with pytest.raises(AuthorizationExpired):
        asked(p, I, 100)


def test_a_sale_is_captured_already():
    p = told(asked(a_payment(sale=True), A), APPROVED)
    with pytest.raises(AuthorizationCaptured):
        asked(p, I, 100)


@pytest.mark.parametrize(("minor", "problem"), [
    (None, AmountMustBePositive), (0, AmountMustBePositive), (MINOR_MAX, AmountOutOfRange),
])  # fmt: skip
def test_by_how_much_is_said_and_has_bounds(minor, problem: type[Problem]):
    with pytest.raises(problem):
        asked(done(a_payment(), A), I, minor)


def test_a_void_waits_for_an_increment():
    with pytest.raises(IncrementInFlight):
        asked(asked(done(a_payment(), A), I, 300), V)


def test_an_increment_that_the_psp_called_refused_and_did_counts():
    p = told(asked(done(a_payment(), A), I, 300), DECLINED)
    assert standing(hear(p, p.attempts[-1].id, APPROVED, 2)).authorized == 1300


def test_an_increment_heard_of_after_the_void_was_released_with_the_rest():
    p = done(told(asked(done(a_payment(), A), I, 300), oc.Rejected("no")), V)
    after = hear(p, p.attempts[1].id, APPROVED, 2)
    assert after.attempts[1].state is State.REVERSED
    assert (standing(after), live(after), status_of(after)) == (standing(p), None, "voided")
    assert hear(after, p.attempts[1].id, APPROVED, 3) == after


def test_an_authorization_with_increments_expires_as_a_whole():
    p = told(done(done(a_payment(), A), I, 300), EXPIRED, 0)
    assert (status_of(p), live(p)) == ("expired", None)
    late = told(done(done(done(a_payment(), A), I, 300), C, 500), EXPIRED, 0)
    assert (standing(late).authorized, standing(late).captured, standing(late).voided) == (1300, 500, 800)


def test_an_increment_may_prolong_the_authorization_and_never_shortens_it():
    p = told(asked(a_payment(), A), oc.Approved("psp", expires_at=100))
    assert told(asked(p, I, 300), oc.Approved("psp", expires_at=200)).attempts[0].expires_at == 200
    assert told(asked(p, I, 300), oc.Approved("psp", expires_at=50)).attempts[0].expires_at == 100
    assert told(asked(p, I, 300), APPROVED).attempts[0].expires_at == 100


def test_the_books_hold_what_an_increment_adds_once():
    before = asked(done(a_payment(), A), I, 300)
    after = told(before, APPROVED)
    names = {"psp": "stripe", "caller": "shop"}
    posted = journal(before, after, after.attempts[-1].id, names)
    assert posted is not None
    assert {(p.account, p.minor) for p in posted.postings} == {("memo.authorized", 300), ("memo.contra", -300)}
    assert journal(before, after, after.attempts[0].id, names) is None
    assert journal(before, told(before, DECLINED), after.attempts[-1].id, names) is None
    assert standing(done(done(after, C), R)).refunded == 1300
