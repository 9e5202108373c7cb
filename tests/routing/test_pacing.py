"""How fast a batch may go: turns are given once, in order, and together no faster than the rate."""

import pytest

from scrooge.routing.pacing import BURST_SECONDS, Pacer, Pacing, Turns, left_until


def test_turns_come_no_faster_than_their_rate_whoever_asks_and_when():
    turns = Turns(10)
    given = [turns.take(100.0) for _ in range(50)]
    assert given == sorted(given)
    assert given[-1] - 100.0 >= 4.8 - BURST_SECONDS


def test_what_was_not_used_is_caught_up_with_for_a_moment_only():
    turns = Turns(100)
    turns.take(0.0)
    assert sum(turns.take(60.0) <= 60.0 for _ in range(200)) <= 100 * BURST_SECONDS + 1


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_share_what_a_batch_may_do(workers: int):
    pacers = [Pacer(Pacing(in_all=100, of_account={"a": 40}, of_bin=10)) for _ in range(workers)]
    for pacer in pacers:
        pacer.shared(workers, 0.0)

    def within(seconds: float, turn) -> int:
        return sum(sum(turn(pacer) < seconds for _ in range(500)) for pacer in pacers)

    slack = 1 + 2 * workers
    assert within(1.0, lambda p: p.next(0.0)) <= 100 + slack
    assert within(1.0, lambda p: p.turn("a", None, 0.0)) <= 40 + slack
    assert within(1.0, lambda p: p.turn("b", "411111", 0.0)) <= 10 + slack


def test_a_turn_that_was_given_is_kept_when_the_rate_changes():
    turns = Turns(1)
    for _ in range(5):
        turns.take(0.0)
    turns.retune(10, 0.0)
    assert 0.3 < turns.take(0.0) < 0.6
    turns.retune(0.5, 0.5)
    assert turns.next_at > 0.5


def test_what_is_not_paced_goes_at_once():
    pacer = Pacer(Pacing(of_account={"a": 1}, of_bin=1))
    assert [pacer.next(5.0), pacer.turn("b", None, 5.0), pacer.turn("b", "", 5.0)] == [5.0] * 3


def test_one_slow_bin_does_not_slow_the_others():
    pacer = Pacer(Pacing(of_bin=1))
    for _ in range(100):
        pacer.turn("a", "411111", 0.0)
    assert pacer.turn("a", "522222", 0.0) == 0.0


def test_nobody_tells_an_end_that_nothing_moves_towards():
    assert left_until(100, 0.0, 7) is None
    assert left_until(100, 50.0, 7) == 2_000_007
