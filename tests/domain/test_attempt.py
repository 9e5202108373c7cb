"""The grid: what news may do to an attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import LIVE, OPEN, OUTCOMES, TABLE, State, advance
from scrooge.domain.declines import Decline
from scrooge.errors import ContradictoryOutcome

EXAMPLES = [
    oc.Approved("psp"),
    oc.Pending("psp"),
    oc.ActionRequired(oc.NextAction("https://acs.example"), "psp"),
    oc.Declined(Decline.REVOKED, "26"),
    oc.Rejected("401"),
    oc.Reversed("capture failed"),
    oc.Unknown("timeout"),
]


def test_every_outcome_has_a_column_and_every_state_a_row():
    assert set(OUTCOMES) == set(oc.Outcome.__args__)
    assert set(TABLE) == set(State)
    assert all(len(row) == len(OUTCOMES) for row in TABLE.values())
    assert {type(e) for e in EXAMPLES} == set(OUTCOMES)


def test_final_states_never_reopen():
    for state, row in TABLE.items():
        if state not in OPEN:
            assert not OPEN & set(row), state


def test_not_knowing_teaches_nothing():
    """`Unknown` may only replace "we have just sent it"; it never moves an attempt that knows more."""
    for state in State:
        assert advance(state, oc.Unknown("")) is (State.UNKNOWN if state is State.SENT else state)


def test_a_reversal_may_come_before_the_approval_it_takes_back():
    for state in OPEN:
        assert advance(state, oc.Reversed("capture failed")) is State.REVERSED
    assert advance(State.REVERSED, oc.Approved("psp")) is State.REVERSED


def test_an_acceptance_that_is_read_after_the_news_that_it_came_to_nothing_is_no_contradiction():
    """The notification of a failed modification may overtake the reply that accepted it."""
    for state in (State.DECLINED, State.REJECTED, State.REVERSED):
        assert advance(state, oc.Pending("psp")) is state


def test_only_an_approval_or_one_being_given_back_is_live_once_nothing_is_open():
    assert {State.APPROVED, State.REVERSING} == LIVE - OPEN


def test_what_is_being_given_back_ends_only_when_the_psp_has_taken_it_back():
    for outcome in EXAMPLES:
        expected = State.REVERSED if isinstance(outcome, oc.Reversed) else State.REVERSING
        assert advance(State.REVERSING, outcome) is expected


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.DECLINED, oc.Approved("psp")),
        (State.REJECTED, oc.Approved("psp")),
        (State.APPROVED, oc.Declined(Decline.DO_NOT_HONOR, "05")),
        (State.APPROVED, oc.Rejected("404")),
    ],
)
def test_a_flip_is_a_contradiction(state: State, outcome: oc.Outcome):
    with pytest.raises(ContradictoryOutcome):
        advance(state, outcome)


@given(st.lists(st.sampled_from(EXAMPLES), max_size=8))
def test_hearing_the_same_twice_never_matters(outcomes: list[oc.Outcome]):
    state = State.SENT
    for outcome in outcomes:
        try:
            after = advance(state, outcome)
        except ContradictoryOutcome:
            continue
        assert advance(after, outcome) is after
        state = after
