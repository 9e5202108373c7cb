"""What always holds of the limits towards PSPs, whatever happens in whatever order."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scrooge.connectors.breaker import OPEN_MOST, PROBES, SPACE_SECONDS, Breaker, State
from scrooge.gate import Gate

LANES, ROOM = 2, 3
# (what, lane or which one): come, leave, give up, be told to go
GATE_STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "come", "leave", "give up", "cancel"]), st.integers(0, 5)), max_size=40
)


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def played(steps: list[tuple[str, int]]) -> None:
    gate = Gate(LANES, lambda lane: gate.count < ROOM)
    inside: list[int] = []
    waiting: list[tuple[int, asyncio.Task[bool]]] = []
    for what, n in steps:
        lane = n % LANES
        if what == "come":
            if gate.enter(lane):
                inside.append(lane)
            else:
                waiting.append((lane, asyncio.create_task(gate.wait(lane, 3600))))
                await settled()
        elif what == "leave" and inside:
            gate.leave(inside.pop(n % len(inside)))
            if n % 2:  # Somebody is told to go at the very moment at which room was made for him.
                waiting = told_to_go(waiting, n)
        elif what == "give up" and gate.lines[lane]:
            gate.lines[lane][0].set_result(False)
        elif what == "cancel":
            waiting = told_to_go(waiting, n)
        await settled()
        inside += [at for at, task in waiting if task.done() and not task.cancelled() and task.result()]
        waiting = [(at, task) for at, task in waiting if not task.done()]
        assert gate.count == len(inside) <= ROOM
        assert [gate.inside[at] for at in range(LANES)] == [inside.count(at) for at in range(LANES)]
        assert gate.count == ROOM or not any(gate.lines), "nobody waits while there is room"
    for _, task in waiting:
        task.cancel()
    await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
    for lane in inside:
        gate.leave(lane)
    assert (gate.count, sum(map(len, gate.lines))) == (0, 0), "everybody left, and no trace"


def told_to_go(waiting: list[tuple[int, asyncio.Task[bool]]], n: int) -> list[tuple[int, asyncio.Task[bool]]]:
    if waiting:
        waiting[n % len(waiting)][1].cancel()
    return waiting


@settings(max_examples=150, deadline=None)
@given(GATE_STEPS)
def test_slots_are_never_lost_nor_given_twice(steps: list[tuple[str, int]]):
    asyncio.run(played(steps))


HISTORY = st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=120)


def lived(history: list[tuple[bool, float]]) -> tuple[Breaker, float]:
    """A breaker after answers (failed?, seconds since the last); new payments go out only when it lets them."""
    b, now = Breaker(), 1000.0
    for failed, passed in history:
        now += passed
        if b.refuses(now) is None:
            probe = b.admit(now)
            b.heard(failed, now, now)
            b.probing = b.probing and not probe
    return b, now


@settings(max_examples=300, deadline=None)
@given(HISTORY)
def test_whatever_a_psp_did_it_is_tried_again_in_time_and_trusted_after_good_answers(history: list[tuple[bool, float]]):
    b, now = lived(history)
    now += max(OPEN_MOST, b.refuses(now) or 0.0)
    assert now - b.opened_at >= b.open_for or b.state is State.CLOSED
    for _ in range(PROBES):
        assert b.refuses(now) is None, "never for longer than OPEN_MOST"
        if b.admit(now):
            assert b.refuses(now) == SPACE_SECONDS, "one probe at a time"
        b.heard(False, now, now)
        b.probing = False
    assert b.state is State.CLOSED


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 5), max_size=200))
def test_good_answers_alone_never_open_it(gaps: list[float]):
    b, _ = lived([(False, gap) for gap in gaps])
    assert b.state is State.CLOSED


@settings(max_examples=200, deadline=None)
@given(HISTORY, st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_what_must_be_asked_is_spaced_and_never_refused_for_good(history: list[tuple[bool, float]], gaps: list[float]):
    b, now = lived(history)
    turns = []
    for gap in gaps:
        now += gap
        wait = b.turn(now, 3600.0)
        assert wait is not None
        turns.append(now + wait)
    if b.state is not State.CLOSED:
        assert all(later - earlier >= SPACE_SECONDS - 1e-6 for earlier, later in pairwise(turns))
