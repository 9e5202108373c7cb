"""Too many requests: the first are served, the others wait a bounded moment or are refused before anything happens."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from scrooge import admission as admission_module
from scrooge import gate as gate_module
from scrooge.admission import Admission, Aside, Rank
from scrooge.api.door import rank_of
from scrooge.api.routes import ROUTES
from scrooge.errors import DatabaseUnavailable, Overloaded
from scrooge.postgres import database
from tests.api.asgi import Api, asked, opened


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with opened(database_url) as api:
        yield api


def brisk(most: int) -> Admission:
    """One that has just finished so much that all places are open."""
    admission = Admission(most)
    for _ in range(most):
        admission.pace.count(time.monotonic())
    return admission


async def filled(admission: Admission, rank: Rank) -> int:
    """Takes every place of a rank that is free."""
    taken = 0
    while admission.has_room(rank):
        await admission.enter(rank, None)
        taken += 1
    return taken


async def test_reads_leave_half_to_payments_and_neither_takes_from_psps():
    admission = brisk(16)
    assert await filled(admission, Rank.READ) == 8
    assert await filled(admission, Rank.PAYMENT) == 8
    assert await filled(admission, Rank.OUTSIDE) == 4
    for rank in Rank:
        assert not admission.gate.enter(rank)


async def test_payments_are_let_in_before_reads_that_came_earlier():
    admission, order = brisk(4), list[Rank]()
    await filled(admission, Rank.PAYMENT)

    async def come(rank: Rank) -> None:
        await admission.enter(rank, None)
        order.append(rank)

    coming = [asyncio.create_task(come(rank)) for rank in (Rank.READ, Rank.PAYMENT)]
    await asyncio.sleep(0)
    admission.leave(Rank.PAYMENT)
    admission.leave(Rank.PAYMENT)
    await asyncio.gather(*coming)
    assert order == [Rank.PAYMENT, Rank.READ]


async def test_a_full_line_and_a_passed_deadline_are_refused_at_once():
    admission = brisk(4)
    await filled(admission, Rank.PAYMENT)
    with pytest.raises(Overloaded):
        await admission.enter(Rank.PAYMENT, time.monotonic())
    waiting = [asyncio.create_task(admission.enter(Rank.PAYMENT, None)) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await admission.enter(Rank.PAYMENT, None)
    for _ in range(12):
        admission.leave(Rank.PAYMENT)
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert (admission.held, admission.gate.count) == (0, 0)


async def test_a_line_that_stands_for_long_waits_shortly(monkeypatch: pytest.MonkeyPatch):
    admission, waits = brisk(4), list[float]()
    await filled(admission, Rank.PAYMENT)

    async def wait(lane: int, seconds: float) -> bool:
        waits.append(seconds)
        admission.gate.lines[lane].append(asyncio.get_running_loop().create_future())
        return True

    monkeypatch.setattr(admission.gate, "wait", wait)
    await admission.enter(Rank.PAYMENT, None)
    admission.gate.standing_since[Rank.PAYMENT] -= 2 * gate_module.STANDING_SECONDS
    await admission.enter(Rank.PAYMENT, None)
    assert waits == [admission_module.PATIENCE, gate_module.PATIENCE_SHORT]


async def test_who_waits_for_others_takes_no_place_but_is_still_counted(monkeypatch: pytest.MonkeyPatch):
    admission = brisk(4)
    for _ in range(4 * admission_module.HELD_TIMES):
        await admission.enter(Rank.PAYMENT, None)
        admission.step_out(Rank.PAYMENT)
    assert admission.gate.count == 0
    with pytest.raises(Overloaded):
        await admission.enter(Rank.PAYMENT, None)
    await admission.enter(Rank.OUTSIDE, None)
    monkeypatch.setattr(admission_module, "MOMENT", 0.0)
    with Aside(admission, Rank.OUTSIDE):
        while admission.gate.count:
            await asyncio.sleep(0.001)
    assert admission.gate.count == 1


def test_no_more_are_at_work_than_were_finished_in_a_second():
    slow = Admission(64)
    assert slow.limit == 8
    for n in range(300):
        slow.pace.count(10 + n / 40)  # forty a second
    assert slow.limit == 40
    for n in range(300):
        slow.pace.count(20 + n / 100)
    assert slow.limit == 64
    slow.pace.count(60.0)
    assert slow.limit == 8


async def test_neither_a_refusal_nor_a_visit_makes_room_for_more_work():
    admission = Admission(64)
    floor = admission.limit
    for _ in range(3 * floor):
        await admission.enter(Rank.PAYMENT, None)
        admission.step_out(Rank.PAYMENT)
        admission.step_back(Rank.PAYMENT)
        admission.leave(Rank.PAYMENT, finished=False)
    assert admission.limit == floor
    for _ in range(3 * floor):
        await admission.enter(Rank.PAYMENT, None)
        admission.leave(Rank.PAYMENT)
    assert admission.limit > floor


def test_what_psps_and_probes_ask_is_never_in_line_with_payments():
    """And what strangers may ask, the page for another card, goes after what moves money."""
    outside = {r.path for r in ROUTES if rank_of(r) is Rank.OUTSIDE}
    assert outside == {"/notifications/{account}", "/healthz", "/readyz", "/metrics"}
    pages = {r.path for r in ROUTES if r.path.startswith("/update/")}
    assert {r.method for r in ROUTES if rank_of(r) is Rank.READ and r.path not in pages} == {"GET"}
    assert all(rank_of(r) is Rank.READ for r in ROUTES if r.path in pages)
    assert all(rank_of(r) is Rank.PAYMENT for r in ROUTES if r.idempotent or r.path.startswith("/return/"))


async def test_overload_is_told_before_the_api_key_is_looked_at_and_health_is_not_shed(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admission_module, "PATIENCE", 0.01)
    admission = api.s.admission
    await filled(admission, Rank.PAYMENT)
    got = await asked(api, "POST", "/v1/payments", [b"{}"], authorization="Bearer nobody")
    assert (got.status, got.document["code"]) == (503, "overloaded")
    assert int(got.headers["retry-after"]) >= 1
    assert (await asked(api, "GET", "/v1/payments")).document["code"] == "overloaded"
    assert (await asked(api, "GET", "/healthz")).status == 200
    while admission.gate.count:
        admission.leave(Rank.PAYMENT)
    assert (await asked(api, "GET", "/v1/payments")).status == 200
    assert (admission.held, admission.gate.count) == (0, 0)


async def test_a_crowd_of_notifications_leaves_connections_to_everybody_else(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "ACQUIRE_SECONDS", 0.2)
    done = asyncio.Event()

    async def notification() -> None:
        async with api.s.inbox.acquired():
            await done.wait()

    crowd = [asyncio.create_task(notification()) for _ in range(4 * api.s.settings.database_pool)]
    while not api.s.inbox.places.locked():
        await asyncio.sleep(0.001)
    assert (await asked(api, "GET", "/v1/payments")).status == 200
    refused, _ = await asyncio.wait(crowd, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(refused.pop().exception(), DatabaseUnavailable)
    done.set()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert not api.s.inbox.places.locked()


async def test_a_slow_body_takes_nobodys_place(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admission_module, "MOMENT", 0.0)
    admission = api.s.admission
    slow = [asyncio.create_task(asked(api, "POST", "/v1/payments", [b"{"], ends=False)) for _ in range(8)]
    while admission.held < 8 or admission.gate.count:
        await asyncio.sleep(0.005)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (admission.held, admission.gate.count) == (0, 0)


@pytest.mark.parametrize(("said", "code"), [
    ("soon", "invalid_field"), ("-1", "invalid_field"), ("0", "invalid_field"), ("1e3", "invalid_field"),
])  # fmt: skip
async def test_a_deadline_that_cannot_be_read_is_refused(api: Api, said: str, code: str):
    got = await asked(api, "POST", "/v1/payments", [b"{}"], request_timeout=said)
    assert got.status == 422
    assert (got.document["code"], got.document["param"]) == (code, "Request-Timeout")
