"""Every decline has a way back or none, the control arm has the timetable alone, and uplift comes with its doubt."""

import pytest

from scrooge.domain.declines import Advice, Decline
from scrooge.domain.means import WAYS, Means, Need, in_control, means_left, need_of
from scrooge.domain.recovery import BECOMES, ENDED, WAITING, Phase, Recovery
from scrooge.domain.uplift import Share, uplift, wilson
from scrooge.ids import new_id


def test_every_decline_has_a_row_and_what_needs_the_payer_says_what_for():
    assert set(WAYS) == set(Decline)
    for decline, way in WAYS.items():
        assert (Means.CUSTOMER in way.means) is (way.need is not None), decline


@pytest.mark.parametrize("decline", Decline)
def test_means_come_in_order_and_each_is_spent_once(decline: Decline):
    spent: list[Means] = []
    while left := means_left(decline, None, spent, control=False):
        spent.append(left[0])
    assert spent == list(WAYS[decline].means)
    order = [Means.REFRESH, Means.WAIT, Means.OTHER_MANDATE, Means.CUSTOMER]
    assert spent == sorted(spent, key=order.index), "the payer comes last, and what is stale is refreshed first"


def test_what_passes_with_time_is_waited_for_and_what_is_stale_is_refreshed():
    assert means_left(Decline.INSUFFICIENT_FUNDS, None, (), control=False)[0] is Means.WAIT
    assert means_left(Decline.EXPIRED_CARD, None, (), control=False)[0] is Means.REFRESH
    assert means_left(Decline.DO_NOT_HONOR, "01", (), control=False)[0] is Means.REFRESH
    for decline in Decline:
        if decline.advice in {Advice.RETRY_LATER, Advice.RETRY_ELSEWHERE}:
            assert Means.WAIT in WAYS[decline].means, decline
        else:
            assert Means.WAIT not in WAYS[decline].means, decline


@pytest.mark.parametrize("decline", [Decline.REVOKED, Decline.CANCELED_BY_PAYER, Decline.INVALID_AMOUNT])
def test_who_withdrew_is_asked_for_nothing(decline: Decline):
    assert means_left(decline, None, (), control=False) == ()
    assert need_of(decline, None) is Need.OTHER


def test_a_card_that_may_never_be_tried_again_is_not():
    for advice in ("03", "21"):
        assert means_left(Decline.DO_NOT_HONOR, advice, (), control=False) == (Means.OTHER_MANDATE, Means.CUSTOMER)
        assert need_of(Decline.DO_NOT_HONOR, advice) is Need.UPDATE_CARD


def test_the_control_arm_has_the_timetable_and_nothing_else():
    for decline in Decline:
        assert means_left(decline, "01", (), control=True) == (Means.WAIT,)
    ids = [new_id("pay", n % 1024) for n in range(4000)]
    assert not any(in_control(i, 0) for i in ids)
    assert 120 < sum(in_control(i, 5) for i in ids) < 280
    assert all(in_control(i, 5) <= in_control(i, 6) for i in ids), "a larger arm holds the smaller one"


def test_every_phase_says_what_it_makes_of_a_recovery():
    assert set(BECOMES) == set(Phase)
    assert {p for p, r in BECOMES.items() if r in {Recovery.RECOVERED, Recovery.LOST}} == ENDED
    assert {p for p, r in BECOMES.items() if r in {None, Recovery.OPEN}} == WAITING | {Phase.MADE}


def test_uplift_is_told_with_its_interval():
    """Newcombe's paper has this one: 56 of 70 against 48 of 80 is 0.2 (0.0524 to 0.3339)."""
    found = uplift(Share(56, 70), Share(48, 80))
    assert found is not None
    assert [round(x, 4) for x in (found.difference, found.low, found.high)] == [0.2, 0.0524, 0.3339]
    assert uplift(Share(3, 10), Share(0, 0)) is None
    none = uplift(Share(0, 10), Share(0, 10))
    assert none is not None
    assert none.low < 0 < none.high, "nobody of ten is no proof of nothing"
    assert wilson(Share(10, 10))[1] == pytest.approx(1)
