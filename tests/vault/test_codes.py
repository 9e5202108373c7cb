"""Security codes open for their own card, for minutes, and in the process that sealed them."""

import pytest

from scrooge.vault import codes
from scrooge.vault.codes import PERIOD_SECONDS, Codes


@pytest.fixture
def clock(monkeypatch):
    moments = [1_000_000.0]
    monkeypatch.setattr(codes.time, "monotonic", lambda: moments[0])
    return moments


def test_a_code_opens_for_its_own_card_in_its_own_process(clock):
    ours = Codes(10)
    sealed = ours.seal(b"card", "737")
    assert ours.open(b"card", sealed) == "737"
    assert ours.open(b"another card", sealed) is None
    assert Codes(10).open(b"card", sealed) is None


def test_a_code_that_has_run_out_opens_for_nobody_and_its_key_is_gone(clock):
    ours = Codes(10)
    sealed = ours.seal(b"card", "737")
    clock[0] += 10 * 60
    assert ours.open(b"card", sealed) == "737"
    clock[0] += 2 * PERIOD_SECONDS
    assert ours.open(b"card", sealed) is None
    clock[0] += 10 * 60
    ours.turn()
    assert len(ours.keys) <= 10 * 60 // PERIOD_SECONDS + 2
    assert min(ours.keys) > int.from_bytes(sealed[:8])
