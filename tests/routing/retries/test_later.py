"""When a renewal is tried again: by rules, by what was learned, and never against a scheme's rule or the deadline."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from scrooge.domain.declines import Advice, Decline
from scrooge.domain.retry import Stop
from scrooge.routing import timing
from scrooge.routing.calendar import DAY, HOUR, day_starts, local, next_hour, zone_of
from scrooge.routing.later import Failed, Later, later, timetable
from scrooge.routing.schemes.allowed import Allowed, Past, allowed
from scrooge.routing.schemes.rules import Attempt, Refused, load

RULES = load()
AT = day_starts("2026-11-03") + 14 * HOUR  # a Tuesday afternoon
EAGER = structs.replace(timetable(), learned_from=500)
FREE = lambda at: Allowed(None)  # noqa: E731
RENEWAL = Attempt(merchant="m", card="c", brand="mastercard", minor=1, currency="EUR", initiator="merchant", at=0)
FUNDS = Failed(
    decline=Decline.INSUFFICIENT_FUNDS, advice=Advice.RETRY_LATER, initiator="merchant",
    first_at=AT, last_at=AT, tries=1, deadline=AT + 21 * DAY, country="DE", margin_minor=900, cost_minor=5,
)  # fmt: skip


def test_the_first_retry_for_want_of_funds_is_the_next_morning_where_the_issuer_is():
    step = later(FUNDS, FREE)
    assert isinstance(step, Later)
    here = local(step.at, "Europe/Berlin")
    assert (here.day, here.hour) == (5, 6), "24 hours are over on the 4th at 15:00, and no payday is near"
    assert "funds: 24 hours" in step.because


def test_a_payday_that_is_near_is_waited_for():
    """72 hours after Thursday the 12th is the 15th itself; 24 hours after is the 13th: two days are worth it."""
    failed = structs.replace(FUNDS, first_at=AT + 9 * DAY, last_at=AT + 9 * DAY)
    step = later(failed, FREE)
    assert isinstance(step, Later)
    assert (local(step.at, "Europe/Berlin").day, local(step.at, "Europe/Berlin").hour) == (15, 6)


def test_the_last_day_of_a_month_is_a_payday_however_long_the_month():
    for day, month in (("2026-02-26", 28), ("2026-11-28", 30), ("2026-12-29", 31)):
        at = day_starts(day)
        step = later(structs.replace(FUNDS, first_at=at, last_at=at, deadline=at + 20 * DAY), FREE)
        assert isinstance(step, Later)
        assert local(step.at, "Europe/Berlin").day == month


def test_what_was_out_of_order_is_tried_again_within_the_hour():
    step = later(structs.replace(FUNDS, decline=Decline.ISSUER_UNAVAILABLE, advice=Advice.RETRY_ELSEWHERE), FREE)
    assert step == Later(AT + HOUR, "technical: 1 hours after the failure")


@pytest.mark.parametrize(
    "change",
    [
        {"decline": Decline.STOLEN_CARD, "advice": Advice.STOP},
        {"advice": Advice.STOP},  # the scheme's advice outweighs the reason
        {"decline": Decline.EXPIRED_CARD, "advice": Advice.NEW_DETAILS},
        {"initiator": "customer"},
        {"tries": 7},
        {"deadline": AT + HOUR},
    ],
)
def test_what_does_not_pass_with_time_is_over(change: dict):
    failed = structs.replace(FUNDS, **change)
    for step in (later(failed, FREE), timing.later(failed, FREE, {"funds": (500.0, 1000.0)}, 0.5, EAGER)):
        assert isinstance(step, Stop)
        assert step.because


def test_a_schemes_wait_moves_the_retry_and_never_again_ends_it():
    wait = Refused("mastercard-wait-10-days", AT + 10 * DAY + 1, "wait")
    step = later(FUNDS, lambda at: wait if at <= AT + 10 * DAY else Allowed(1))
    assert isinstance(step, Later)
    assert step.at > AT + 10 * DAY
    assert local(step.at, "Europe/Berlin").hour in timetable().classes[0].hours
    assert isinstance(later(FUNDS, lambda at: Refused("visa-category-1", None, "never")), Stop)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["DE", "US", "IN", "BR", "JP", "NZ", ""]),
    st.integers(0, 400 * 24),
    st.sampled_from([d for c in timetable().classes for d in c.declines]),
    st.integers(1, 40),
    st.booleans(),
)
def test_a_whole_schedule_keeps_to_the_schemes_and_the_deadline(country, hours, decline, days, model: bool):
    """Mastercard, declined each time with a wait of two days: every retry is later, in time, and allowed."""
    at = day_starts("2026-01-01") + hours * HOUR
    failed = structs.replace(FUNDS, country=country, decline=decline, first_at=at, last_at=at, deadline=at + days * DAY)
    cells = dict.fromkeys(("funds", "technical", "generic"), (300.0, 1000.0)) if model else {}
    past: list[Past] = []
    while True:
        past.append(
            Past(at=failed.last_at, minor=1, currency="EUR", initiator="merchant", outcome="declined", advice_code="26")
        )
        step = timing.later(failed, lambda t: allowed(RULES, past, structs.replace(RENEWAL, at=t)), cells, 0.5, EAGER)
        if isinstance(step, Stop):
            break
        assert failed.last_at + 2 * DAY < step.at <= failed.deadline
        assert isinstance(allowed(RULES, past, structs.replace(RENEWAL, at=step.at)), Allowed)
        failed = structs.replace(failed, last_at=step.at, tries=failed.tries + 1)
    assert failed.tries <= 7


def test_what_would_come_after_the_deadline_comes_on_the_last_day_instead():
    """The third retry for want of funds is 144 hours after the failure; the deadline is after 120, on a Sunday."""
    failed = structs.replace(FUNDS, last_at=AT + 3 * DAY, tries=3, deadline=AT + 5 * DAY)
    step = later(failed, FREE)
    assert isinstance(step, Later)
    assert (local(step.at, "Europe/Berlin").day, local(step.at, "Europe/Berlin").hour) == (8, 6)
    assert "last day" in step.because
    late = structs.replace(failed, last_at=AT + 4 * DAY + 20 * HOUR)
    assert isinstance(later(late, FREE), Stop), "twelve hours after the last attempt it is too late"


# --- what was learned --------------------------------------------------------------------------


def enumerated(q: list[float], tries: int, gap: int, gain: float, cost: float, d: float, t: int = 0) -> float:
    """The value of the best of all plans, each tried out: every choice of hours."""
    best = 0.0
    for n in range(tries + 1):
        for hours in itertools.combinations(range(t, len(q)), n):
            if all(b - a >= gap for a, b in itertools.pairwise(hours)):
                alive, value = 1.0, 0.0
                for hour in hours:
                    value += alive * d**hour * (q[hour] * gain - cost)
                    alive *= 1 - q[hour]
                best = max(best, value)
    return best


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.integers(1, 3),
    st.integers(1, 3),
    st.floats(0, 30),
    st.sampled_from([1.0, 0.99, 0.8]),
)
def test_backward_induction_finds_the_best_of_all_plans(q: list[float], tries: int, gap: int, cost: float, d: float):
    value = timing.values(q, tries, gap, 100.0, cost, d)[tries][0]
    assert value == pytest.approx(enumerated(q, tries, gap, 100.0, cost, d), abs=1e-6)
    hour = timing.best_hour(q, tries, gap, 100.0, cost, d)
    assert (hour is None) == (value <= 0)


def test_a_worked_example():
    """Gain 100, cost 10, no discount. Hours with 10 %, 50 %: one attempt waits (40 > 0); two attempts try both at once:
    0.1 x 90 + 0.9 x (40 - 10) = 36 < 40, so they wait too, unless the second hour is worth less."""
    assert timing.values([0.1, 0.5], 1, 1, 100, 10, 1.0)[1][0] == pytest.approx(40)
    assert timing.best_hour([0.1, 0.5], 2, 1, 100, 10, 1.0) == 1
    assert timing.best_hour([0.3, 0.5], 2, 1, 100, 10, 1.0) == 0, "0.3 x 90 + 0.7 x (40 - 10) = 48 > 40"


def test_the_model_waits_for_payday_once_it_has_seen_what_payday_does():
    """Two of a hundred are approved on other days, forty on a payday; before it knows, and in the control arm: rules."""
    cells: timing.Cells = {}
    luck = random.Random(7)
    one = structs.replace(FUNDS, deadline=AT + 30 * DAY)
    for n in range(3000):
        at = AT + (12 + n % 600) * HOUR
        on = timing.hour_of(one, at, timetable()).payday
        approved = luck.random() < (0.40 if on else 0.02)
        cells = timing.added(cells, timing.learned(one, at, approved))
    step = timing.later(one, FREE, cells, 0.5, EAGER)
    assert isinstance(step, Later)
    assert step.arm == "learned"
    assert local(step.at, "Europe/Berlin").day == 15
    control = timing.later(one, FREE, cells, 0.01, EAGER)
    assert isinstance(control, Later)
    assert (control.arm, control.propensity) == ("rules", 0.05)
    assert control.at == later(one, FREE).at
    young = timing.later(one, FREE, {"funds": (10.0, 499.0)}, 0.5, EAGER)
    assert young == later(one, FREE)


def test_an_attempt_that_costs_more_than_it_brings_is_not_made():
    dear = structs.replace(FUNDS, cost_minor=800)
    assert isinstance(timing.later(dear, FREE, {"funds": (50.0, 1000.0)}, 0.5, EAGER), Stop)


@given(st.lists(st.tuples(st.integers(13, 400), st.booleans()), max_size=30), st.randoms())
def test_what_processes_learned_adds_up_in_any_order(outcomes, luck):
    parts = [timing.learned(FUNDS, AT + hours * HOUR, approved) for hours, approved in outcomes]
    one: timing.Cells = {}
    for part in parts:
        one = timing.added(one, part)
    luck.shuffle(parts)
    other: timing.Cells = {}
    for part in parts:
        other = timing.added(part, other)
    assert one == other
    assert 0 < timing.hazard(one, "funds", timing.Hour(0, 1, False)) < 1


# --- the calendar ---------------------------------------------------------------------------------


def test_hours_are_those_of_the_issuers_wall():
    summer, winter = day_starts("2026-07-01"), day_starts("2026-01-01")
    assert (local(summer, "Europe/Berlin").hour, local(winter, "Europe/Berlin").hour) == (2, 1)
    assert local(winter, zone_of("IN")).hour == 5
    assert (local(winter, zone_of("US")).day, local(winter, zone_of("US")).last_day) == (31, 31)
    assert zone_of("") == zone_of("ZZ") == "UTC"


@given(
    st.integers(0, 500 * 24 * 60),
    st.sampled_from(["DE", "US", "IN", "AU", ""]),
    st.sets(st.integers(0, 23), min_size=1),
)
def test_the_next_good_hour_is_within_a_day_or_so(minutes: int, country: str, hours: set[int]):
    at = AT + minutes * 60_000_000
    there = next_hour(at, zone_of(country), tuple(sorted(hours)))
    assert at <= there <= at + 25 * HOUR
    if not (country and hours & {1, 2, 3}):  # an hour that a change of the clocks may skip
        assert local(there, zone_of(country)).hour in hours
