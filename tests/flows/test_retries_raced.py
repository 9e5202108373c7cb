"""Of a retry that was scheduled one attempt comes, whoever takes its turn, and how often; and it ends for good."""

import asyncio

from msgspec import structs
from tests.flows.test_retries import POOR, card, in_days, its_time_comes, renewal
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Phase
from scrooge.errors import PspUnavailable
from scrooge.flows import recovery, retries
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.routing.calendar import DAY, HOUR
from scrooge.storage import payments
from scrooge.storage import retries as queue
from scrooge.storage.retries import Due


async def read(s: Scrooge, payment: str) -> Payment:
    p = await payments.read(s.db, payment)
    assert p is not None
    return p


async def test_a_turn_that_ten_have_at_once_makes_one_attempt(world: World, s: Scrooge):
    """Its answer is a decline, after which nothing but the step stands in the way of another."""
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    await asyncio.gather(*(retries.run(s, Due(p["id"], 1, 1, "tests")) for _ in range(10)))
    after = await read(s, p["id"])
    assert [a.number for a in after.attempts] == [1, 2]
    assert after.retry is not None
    assert (after.retry.seq, after.retry.phase, after.retry.round) == (3, Phase.SCHEDULED, 1)


async def test_what_was_canceled_while_its_retry_is_out_is_followed_by_nothing(world: World, s: Scrooge, monkeypatch):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    through = retries.through

    async def canceled_first(s: Scrooge, p: Payment, *rest: object, **more: object) -> Payment:
        after = await retries.stop(s, p.id, "the caller canceled it")
        return await through(s, structs.replace(p, version=after.version, retry=after.retry), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(retries, "through", canceled_first)
    await retries.run(s, Due(p["id"], 1, 1, "tests"))
    after = await read(s, p["id"])
    assert after.retry is not None
    assert (len(after.attempts), after.attempts[1].state, after.retry.phase) == (2, "declined", Phase.CANCELED)


async def test_a_psp_that_takes_nothing_now_costs_a_turn_and_no_attempt(world: World, s: Scrooge, sql, monkeypatch):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))

    async def none(*_: object) -> None:
        raise PspUnavailable("its circuit breaker is open", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(s.limits, "first", none)
        await its_time_comes(sql, p["id"])
        [due] = [d for d in await queue.claim(s.db, 100, 1.0) if d.payment == p["id"]]
        await retries.run(s, due)
    after = await read(s, p["id"])
    assert after.retry is not None
    assert (len(after.attempts), after.retry.phase, after.retry.round) == (1, Phase.SCHEDULED, 0)
    left = "SELECT extract(epoch FROM due_at - now())::float8 FROM retries WHERE payment_id = $1 AND due_at IS NOT NULL"
    assert 0 < await sql.fetchval(left, hex_of(p["id"])) <= 300


async def test_a_time_that_passed_by_is_made_up_for_within_the_hours_and_the_deadline(
    world: World, s: Scrooge, monkeypatch
):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]), days=10)
    before = await read(s, p["id"])
    assert before.retry is not None
    assert before.retry.at is not None
    at, until = before.retry.at, before.retry_until or 0
    morning = at - at % DAY + 7 * HOUR
    for moment, expected in (
        (at + HOUR - 1, None),  # late by less than an hour: now
        (morning + DAY, None),  # by a day, in a good hour: now
        (morning + DAY + 8 * HOUR, "scheduled"),  # in the afternoon: the next morning
        (until + 1, "lost"),
    ):
        monkeypatch.setattr(recovery, "now", lambda moment=moment: moment)
        step = recovery.late(s, before)
        if expected is None:
            assert step is None
        elif expected == "lost":
            assert "over" in step.because  # type: ignore[union-attr]
        else:
            assert moment < step.at < moment + DAY  # type: ignore[union-attr]
    monkeypatch.setattr(recovery, "now", lambda: until + 1)
    await retries.run(s, Due(p["id"], 1, 1, "tests"))
    after = await read(s, p["id"])
    assert after.retry is not None
    assert (after.retry.phase, len(after.attempts)) == (Phase.LOST, 1)


async def test_a_decline_that_comes_by_the_resolver_is_followed_like_one_that_was_answered(world: World, s: Scrooge):
    """The answer is lost, and the PSP says later that it was a no."""
    await world.fault("charge_then_drop", connector="stripe")
    try:
        p = await renewal(world, await card(world, stripe=POOR["stripe"]))
        assert (p["status"], p["retry"]["status"]) == ("processing", None)
    finally:
        await world.no_faults()
    _, p = await world.post(f"/v1/payments/{p['id']}/sync", {})
    assert (p["status"], p["retry"]["status"]) == ("declined", "scheduled")
    assert p["retry"]["at"] < in_days(5)
