"""The full product of (crash point x operation x PSP behavior x client), once; and wild worlds beside it.

A failure names its SEED and CELL and the command that plays it again; `make sim` plays more.
"""

import pytest

from scrooge.crash import POINTS as CRASH_POINTS
from scrooge.domain import news
from scrooge.domain.attempt import State
from scrooge.domain.outcome import Unknown
from tests.simulation.cells import EVERY, POINTS, Cell, impossible, parsed
from tests.simulation.report import run
from tests.simulation.scenario import Failure, play
from tests.simulation.store import Store

SEED = 1
WILD = 1000


@pytest.mark.timeout(900)  # A quarter of a minute; a busy machine may need long.
def test_every_cell_of_the_product_is_reached_and_right():
    report = run([(SEED, cell) for cell in EVERY if not impossible(cell)], jobs=2)
    assert not report.failures, "\n".join(report.failures[:10])
    assert not report.missing(), "\n".join(report.missing()[:20])
    assert report.deaths > 10_000
    for what in (
        "replays",
        "inquiries",
        "cascades",
        "overtaken",
        "refused notifications",
        "notifications contradicted",
        "late_success",
        "second_success",
        "given back",
    ):
        assert report.counts[what] > 10, f"{what} hardly ever happened"


def test_wild_worlds_end_right():
    report = run([(SEED + n, None) for n in range(WILD)], jobs=2)
    assert not report.failures, "\n".join(report.failures[:10])
    assert report.deaths > WILD / 4


def test_the_same_seed_plays_the_same_world():
    cell = parsed("apply.before/sale/charge_then_drop/duplicates")
    first, second = play(7, cell), play(7, cell)
    assert (first.now, first.counts, first.store.payments) == (second.now, second.counts, second.store.payments)


def test_cells_that_cannot_exist_have_a_reason_and_are_few():
    assert sum(1 for c in EVERY if not impossible(c)) > 0.65 * len(EVERY)
    assert set(POINTS) - {"none"} <= set(CRASH_POINTS)


# --- the oracle itself: a simulation that cannot fail proves nothing ---


def test_it_notices_when_doubt_is_taken_for_a_decline(monkeypatch: pytest.MonkeyPatch):
    real = news.advance

    def wrong(state: State, outcome: object) -> State:
        return State.DECLINED if isinstance(outcome, Unknown) and state is State.SENT else real(state, outcome)

    monkeypatch.setattr(news, "advance", wrong)
    with pytest.raises(Failure, match=r"SEED=\d+ CELL=none/sale/charge_then_drop/waits: .*\n  python -m tests"):
        for seed in range(20):  # In some the issuer really declines.
            play(seed, Cell("none", "sale", "charge_then_drop", "waits"))


def test_it_notices_when_a_stale_change_is_written(monkeypatch: pytest.MonkeyPatch):
    from msgspec import structs

    real = Store.save

    def wrong(self: Store, change: object, now: int) -> bool:
        current = self.payments[change.after.id]  # type: ignore[attr-defined]
        change.before = structs.replace(change.before, version=current.version)  # type: ignore[attr-defined]
        return real(self, change, now)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "save", wrong)
    with pytest.raises(Failure):
        for seed in range(200):
            play(seed)


def test_it_notices_a_final_state_that_is_not_announced(monkeypatch: pytest.MonkeyPatch):
    from tests.simulation import perform

    monkeypatch.setattr(perform, "announcement", lambda *args: None)
    with pytest.raises(Failure, match="never announced"):
        play(1, Cell("none", "sale", "normal", "waits"))


def test_a_worker_that_was_stopped_past_its_lease_concludes_nothing_by_itself():
    """Somewhere in wild worlds a stopped worker wakes after another has claimed its attempt."""
    report = run([(SEED + n, None) for n in range(300)], jobs=1)
    assert report.counts["freezes"] > 30
