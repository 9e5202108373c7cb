"""What stays in doubt: shown by its age, a break after a while, and never concluded from its age."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.flows.test_races import again, lost, made
from tests.world import World, alone

from scrooge import metrics
from scrooge.domain.attempt import State
from scrooge.domain.outcome import Approved, Pending, ReversalKind, Reversed
from scrooge.domain.payment import Payment
from scrooge.flows.escalate import Aging, escalate
from scrooge.flows.perform import apply
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage import work


@pytest.fixture(scope="module")
async def s(world: World) -> AsyncIterator[Scrooge]:
    async with alone(world, psp_timeout_seconds=2) as s:
        yield s


async def owner(world: World, query: str, *args: Any) -> list[Any]:
    connection = await asyncpg.connect(world.database_url)
    try:
        return await connection.fetch(query, *args)
    finally:
        await connection.close()


async def aged(world: World, p: Payment, age: str) -> None:
    await owner(world, f"UPDATE attempts SET sent_at = now() - interval '{age}' WHERE payment_id = $1", hex_of(p.id))


async def breaks_of(world: World, p: Payment) -> list[Any]:
    query = "SELECT * FROM breaks WHERE payment_id = $1 AND kind = 'unresolved_too_long' ORDER BY id"
    return await owner(world, query, hex_of(p.id))


async def test_what_is_in_doubt_for_too_long_is_one_break_until_it_is_resolved(s: Scrooge, world: World):
    p, young = await lost(s, world, "stripe"), await lost(s, world, "stripe")
    await aged(world, p, "25 hours")
    await aged(world, young, "23 hours")
    for _ in range(3):
        await escalate(s)
    [found] = await breaks_of(world, p)
    assert (found["attempt_id"].hex, found["closed_at"]) == (hex_of(p.attempts[0].id), None)
    assert found["connector_account_id"] is not None
    assert await breaks_of(world, young) == []
    assert (await again(s, p)).attempts[0].state is State.UNKNOWN, "nothing is concluded by time"
    await apply(s, await again(s, p), p.attempts[0].id, Approved("pi_found"))
    await escalate(s)
    [found] = await breaks_of(world, p)
    assert (found["closed_by"], found["note"]) == ("worker", "it was resolved: approved")


async def test_an_authorization_whose_capture_failed_may_lapse_and_is_asked_about_again(s: Scrooge, world: World):
    """All of it had been captured, so that nothing could lapse any more, and nobody asked."""
    p = await made(s, world, "stripe", sale=False)
    status, _ = await world.post(f"/v1/payments/{p.id}/captures", {})
    assert status == 201
    captured = await again(s, p)
    await work.stop_asking(s.db, p.id, p.attempts[0].id)
    asks = "SELECT ask_at FROM attempts WHERE payment_id = $1 AND operation = 'authorize'"
    assert [row["ask_at"] for row in await owner(world, asks, hex_of(p.id))] == [None]
    await apply(s, captured, captured.attempts[1].id, Reversed("CAPTURE_FAILED", ReversalKind.FAILED))
    [row] = await owner(world, asks, hex_of(p.id))
    assert row["ask_at"] is not None


async def test_what_an_operator_has_seen_is_shown_again_only_after_as_long(s: Scrooge, world: World):
    p = await lost(s, world, "adyen")
    await aged(world, p, "3 days")
    await escalate(s)
    closed = "UPDATE breaks SET closed_at = now() - interval '{}', closed_by = 'key:1' WHERE payment_id = $1"
    await owner(world, closed.format("23 hours"), hex_of(p.id))
    await escalate(s)
    assert len(await breaks_of(world, p)) == 1
    await owner(world, closed.format("25 hours"), hex_of(p.id))
    await escalate(s)
    assert [b["closed_at"] is None for b in await breaks_of(world, p)] == [False, True]


async def test_what_is_pending_has_the_time_that_is_usual_at_its_psp(s: Scrooge, world: World):
    """Adyen's authorizations within an hour, its refunds within three days."""
    refunded = await lost(s, world, "adyen")
    await apply(s, refunded, refunded.attempts[0].id, Pending("8835"))
    await owner(world, "UPDATE attempts SET operation = 'refund', parent_id = id WHERE payment_id = $1",
                hex_of(refunded.id))  # fmt: skip
    await aged(world, refunded, "70 hours")
    await escalate(s)
    assert await breaks_of(world, refunded) == []
    await aged(world, refunded, "73 hours")
    await escalate(s)
    assert len(await breaks_of(world, refunded)) == 1
    await owner(world, "UPDATE attempts SET operation = 'authorize', parent_id = NULL WHERE payment_id = $1",
                hex_of(refunded.id))  # fmt: skip


async def test_doubts_are_counted_by_account_and_age_and_told_once_when_they_grow_older(s: Scrooge, world: World):
    p = await lost(s, world, "stripe")
    account = world.accounts["stripe"]["id"]
    aging = Aging()

    def shown(age: str) -> float:
        return metrics.IN_DOUBT.labels("stripe", account, "unknown", age)._value.get()

    await aged(world, p, "2 hours")
    with capture_logs() as logs:
        await aging.show(s)
        before = shown("hour"), shown("day")
        await aging.show(s)
        await aged(world, p, "2 days")
        await aging.show(s)
        assert (shown("hour"), shown("day")) == (before[0] - 1, before[1] + 1)
        await apply(s, await again(s, p), p.attempts[0].id, Approved("pi_again"))
        await aging.show(s)
        assert shown("day") == before[1]
    told = [(line["state"], line["log_level"]) for line in logs
            if line["event"] == "in_doubt_for_long" and line["connector_account"] == account]  # fmt: skip
    assert told in ([("unknown", "warning"), ("unknown", "error")], [("unknown", "error")])
