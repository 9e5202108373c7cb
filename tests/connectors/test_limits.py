"""Bulkheads: one PSP's trouble is its own, a refusal comes before the record, and what must be asked is asked."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.admission import Admission, Rank
from scrooge.connectors import limits as limits_module
from scrooge.connectors.breaker import OPEN_FIRST, OPEN_MOST, PROBES, SPACE_SECONDS, STREAK, Breaker, State
from scrooge.connectors.limits import Lane, Limits, Slot
from scrooge.connectors.pace import FLOOR, START, Pace
from scrooge.connectors.send import Answer, Health
from scrooge.domain.outcome import Unknown
from scrooge.errors import DeadlineTooShort, PspOverloaded, PspUnavailable
from scrooge.gate import PATIENCE_SHORT, STANDING_SECONDS, Gate

# --- the breaker ---


def failing(breaker: Breaker, at: float, times: int = STREAK) -> Breaker:
    for n in range(times):
        breaker.heard(True, at + n / 1000, at + n / 1000)
    return breaker


def test_a_streak_of_failures_opens_the_breaker_and_good_answers_never_do():
    assert failing(Breaker(), 100.0).state is State.OPEN
    breaker = Breaker()
    for n in range(1000):
        breaker.heard(False, n / 10, n / 10)
    assert breaker.state is State.CLOSED


def test_half_of_many_failing_opens_the_breaker_and_a_tenth_does_not():
    for every, state in ((2, State.OPEN), (10, State.CLOSED)):
        breaker = Breaker()
        for n in range(200):
            breaker.heard(n % every == 0, 100 + n / 100, 100 + n / 100)
        assert breaker.state is state, every


def test_a_rare_psp_is_given_up_after_a_few_failures_and_nothing_else():
    breaker = Breaker()
    breaker.heard(False, 100.0, 100.0)
    for n in range(1, 6):
        assert breaker.state is State.CLOSED
        breaker.heard(True, 100.0 + n, 100.0 + n)
    assert breaker.state is State.OPEN


def test_an_open_breaker_lets_one_probe_through_at_a_time_and_closes_after_several_good_ones():
    breaker = failing(Breaker(), 100.0)
    assert breaker.refuses(101.0)
    at = breaker.opened_at + OPEN_FIRST
    for _ in range(PROBES):
        assert breaker.refuses(at) is None
        assert breaker.admit(at)
        assert breaker.refuses(at) is not None, "one at a time"
        assert breaker.state is State.HALF_OPEN
        breaker.heard(False, at, at)
        breaker.probing = False  # the slot was given back
    assert breaker.state is State.CLOSED


def test_each_failed_probe_doubles_the_wait_up_to_a_bound():
    breaker, waits = failing(Breaker(), 100.0), []
    for _ in range(6):
        waits.append(breaker.open_for)
        at = breaker.opened_at + breaker.open_for
        breaker.admit(at)
        breaker.heard(True, at, at)
        assert breaker.state is State.OPEN
    assert waits == [2.0, 4.0, 8.0, 16.0, OPEN_MOST, OPEN_MOST]


def test_answers_to_what_was_sent_before_it_opened_change_nothing():
    breaker = failing(Breaker(), 100.0)
    for _ in range(PROBES + 1):
        breaker.heard(False, 99.0, 101.0)
    assert breaker.state is State.OPEN


def test_what_must_be_asked_is_spaced_while_the_breaker_is_open_and_free_otherwise():
    assert [Breaker().turn(100.0, 5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    breaker = failing(Breaker(), 100.0)
    turns = [breaker.turn(101.0, 5.0) for _ in range(12)]
    assert turns[:3] == [0.0, SPACE_SECONDS, 2 * SPACE_SECONDS]
    assert turns[11] is None, "more than it may wait, and no turn is used up"
    assert breaker.turn(101.0, 60.0) == 11 * SPACE_SECONDS


# --- the pace ---


@given(
    st.sampled_from([4, FLOOR, 512]),
    st.lists(st.tuples(st.floats(0.001, 30), st.booleans(), st.integers(0, 600))),
)
def test_the_limit_stays_within_its_bounds_whatever_is_heard(most: int, heard: list[tuple[float, bool, int]]):
    pace, now = Pace(most), 100.0
    for seconds, failed, inside in heard:
        now += seconds
        pace.heard(seconds, failed, inside, now)
        assert min(FLOOR, most) <= pace.limit <= most


def test_the_limit_grows_while_it_is_used_and_not_otherwise():
    used, idle = Pace(512), Pace(512)
    for n in range(100):
        used.heard(0.05, False, int(used.limit), 100 + n)
        idle.heard(0.05, False, 1, 100 + n)
    assert used.limit > START
    assert idle.limit == START


def test_a_slow_psp_keeps_its_limit_and_one_that_becomes_slower_loses_it():
    slow, slower = Pace(512), Pace(512)
    for n in range(300):
        slow.heard(5.0, False, 1, 100 + n)
        slower.heard(0.05 if n < 200 else 2.0, False, 1, 100 + n)
    assert slow.limit == START
    assert slower.limit < START


def test_a_burst_of_failures_of_one_moment_lowers_the_limit_once():
    pace = Pace(512)
    for _ in range(50):
        pace.heard(0.1, True, 50, 100.0)
    assert pace.limit == START * 0.9


# --- the line ---


async def test_a_line_is_first_come_first_served_and_nobody_passes_it():
    gate = Gate(1, lambda lane: gate.inside[lane] < 1)
    assert gate.enter(0)
    order: list[int] = []

    async def come(n: int) -> None:
        assert await gate.wait(0, 5.0)
        order.append(n)
        gate.leave(0)

    tasks = [asyncio.create_task(come(n)) for n in range(5)]
    await asyncio.sleep(0)
    assert not gate.enter(0)
    gate.leave(0)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert (gate.count, gate.waiting(0)) == (0, 0)


async def test_whoever_gives_up_or_is_told_to_go_leaves_no_trace():
    gate = Gate(1, lambda lane: gate.inside[lane] < 1)
    assert gate.enter(0)
    assert not await gate.wait(0, 0.01)
    leaving = asyncio.create_task(gate.wait(0, 5.0))
    granted = asyncio.create_task(gate.wait(0, 5.0))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    assert gate.waiting(0) == 1
    gate.leave(0)
    granted.cancel()  # Room was made for it in this very moment.
    await asyncio.gather(leaving, granted, return_exceptions=True)
    assert (gate.count, gate.waiting(0)) == (0, 0)


# --- the bulkheads ---


def limits_of(most: int, *, breaks: bool = True) -> Limits:
    return Limits(most, Admission(16), breaks=breaks)


def filled(limits: Limits, account: str, lane: Lane) -> list[Slot]:
    slots: list[Slot] = []
    while (slot := Slot(limits, lane, None)).move(account):
        slots.append(slot)
    return slots


async def answered(health: Health) -> Answer:
    return Answer(Unknown(""), 0.01, None, health)


async def failed(limits: Limits, account: str, health: Health, *, patient: bool = True) -> None:
    for _ in range(STREAK + 1):
        slot = Slot(limits, Lane.NEW, None)
        if slot.move(account):
            await slot.ask(answered(health), patient=patient)


async def test_each_lane_keeps_slots_from_the_other_and_one_psp_takes_none_of_another():
    limits = limits_of(16)
    taken = filled(limits, "slow", Lane.NEW)
    assert len(taken) == 14
    assert len(filled(limits, "slow", Lane.RECOVERY)) == 2
    assert len(filled(limits, "other", Lane.NEW)) == 14


async def test_a_full_line_refuses_at_once_and_a_long_wait_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(limits_module.WAIT_SECONDS, Lane.NEW, 0.02)
    limits = limits_of(16)
    filled(limits, "slow", Lane.NEW)
    with pytest.raises(PspOverloaded):
        await limits.take("slow", Lane.NEW)
    monkeypatch.setitem(limits_module.LINE_MAX, Lane.NEW, 0)
    assert limits.pressure("slow") is not None
    with pytest.raises(PspOverloaded):
        await limits.take("slow", Lane.NEW)
    assert limits.away == 0


@pytest.mark.parametrize(("lane", "seconds"), [(Lane.NEW, PATIENCE_SHORT), (Lane.RECOVERY, 5.0)])
async def test_only_new_payments_wait_shortly_in_a_line_that_stands(
    lane: Lane, seconds: float, monkeypatch: pytest.MonkeyPatch
):
    limits, waits = limits_of(16), list[float]()
    filled(limits, "slow", lane)
    gate = limits.of("slow").gate

    async def wait(lane: int, seconds: float) -> bool:
        waits.append(seconds)
        return True

    monkeypatch.setattr(gate, "wait", wait)
    gate.lines[lane].append(asyncio.get_running_loop().create_future())
    gate.standing_since[lane] = time.monotonic() - 2 * STANDING_SECONDS
    await limits.take("slow", lane)
    assert waits == [seconds]


async def test_an_open_breaker_refuses_new_payments_and_not_what_must_be_asked():
    limits = limits_of(64)
    await failed(limits, "down", Health.FAILED)
    with pytest.raises(PspUnavailable):
        await limits.take("down", Lane.NEW)
    with await limits.take("down", Lane.RECOVERY):
        assert limits.pressure("down") is not None
    slot, account, behind = await limits.first(("down", "up", "later"), None)
    slot.release()
    assert (account, behind) == ("up", ("later",))


@pytest.mark.parametrize(("health", "patient"), [(Health.GOOD, True), (Health.BUSY, True), (Health.LATE, False)])
async def test_declines_refusals_and_callers_in_a_hurry_open_no_breaker(health: Health, patient: bool):
    limits = limits_of(64)
    await failed(limits, "fine", health, patient=patient)
    assert limits.of("fine").breaker.state is State.CLOSED


async def test_a_breaker_can_be_switched_off():
    limits = limits_of(64, breaks=False)
    await failed(limits, "down", Health.FAILED)
    assert limits.pressure("down") is None


async def test_a_deadline_that_leaves_too_little_is_refused_and_a_psp_gets_its_least():
    limits = limits_of(64)
    with pytest.raises(DeadlineTooShort):
        await limits.take("psp", Lane.NEW, time.monotonic() + 0.5)
    slot = await limits.take("psp", Lane.NEW, time.monotonic() + 4.0)
    assert 2.0 <= slot.timeout(10.0) <= 4.0
    slot.until = time.monotonic() - 1.0
    assert slot.timeout(10.0) == limits_module.LEAST_SECONDS
    assert slot.timeout(1.0) == 1.0, "the setting is the most"


def test_the_last_moment_before_the_record_is_looked_at_too():
    limits = limits_of(64)
    limits.check(None)
    limits.check(time.monotonic() + 60)
    with pytest.raises(DeadlineTooShort):
        limits.check(time.monotonic() + limits_module.LEAST_SECONDS / 2)


async def test_who_waits_for_a_psp_makes_room_for_others():
    limits = Limits(64, Admission(4))
    while limits.admission.has_room(Rank.PAYMENT):
        await limits.admission.enter(Rank.PAYMENT, None)
    slot = await limits.take("psp", Lane.NEW)
    asking = asyncio.create_task(slot.ask(asyncio.sleep(60), patient=True))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert limits.admission.has_room(Rank.PAYMENT)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert not limits.admission.has_room(Rank.PAYMENT)


async def test_every_way_out_gives_the_slot_back():
    limits = limits_of(64)

    async def breaks() -> Answer:
        raise RuntimeError("a bug")

    with await limits.take("psp", Lane.NEW) as slot, pytest.raises(RuntimeError):
        await slot.ask(breaks(), patient=True)
    stuck = await limits.take("psp", Lane.NEW)
    asking = asyncio.create_task(stuck.ask(asyncio.sleep(60), patient=True))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert limits.away == 1
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (limits.of("psp").gate.count, limits.away) == (0, 0)


async def test_nobody_passes_those_who_wait_when_there_is_suddenly_more_room():
    """The limit rises with good answers, and nobody in line is told of that."""
    room = 1
    gate = Gate(1, lambda _: gate.count < room)
    assert gate.enter(0)
    first = asyncio.ensure_future(gate.wait(0, 60))
    await asyncio.sleep(0)
    room = 2
    assert not gate.enter(0)
    gate.leave(0)
    assert await first
    assert gate.enter(0)
