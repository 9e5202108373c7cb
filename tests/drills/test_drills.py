"""A slice of each drill; `make drills` runs them in full."""

from collections.abc import AsyncIterator

import pytest

from scrooge.cli import doctor
from scrooge.storage import condition
from tests.drills import clock, disk, feed, overload, restarts, rolling, standby
from tests.drills.postgres import until
from tests.drills.rig import Rig, rig


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Rig]:
    async with rig() as made:
        yield made


async def test_the_doctor_tells_when_a_promotion_would_lose_payments(world: Rig):
    async def found() -> doctor.Finding:
        return doctor.standby(await condition.server(world.database_url))

    assert await found() == doctor.Finding("standby", True, "commits wait for a synchronous standby")
    world.primary.set("synchronous_standby_names", "another")
    until(lambda: world.primary.sql("SELECT sync_state FROM pg_stat_replication") == "async")
    assert not (await found()).ok
    world.primary.set("synchronous_standby_names", "")
    until(lambda: not world.primary.sql("SHOW synchronous_standby_names"))
    assert (await found()).fix
    world.primary.set("synchronous_standby_names", "FIRST 1 (standby)")


async def test_nothing_taken_is_lost_when_serve_is_replaced(world: Rig):
    result = await rolling.drill(world, callers=8, times=2, pause=0.3)
    assert result["ok"], result


async def test_a_database_that_takes_no_writes_stops_payments_before_a_psp(world: Rig):
    result = await disk.drill(world, posts=3)
    assert result["ok"], result


async def test_the_feed_waits_for_an_open_transaction_and_lacks_nothing(world: Rig):
    result = await feed.drill(world, posts=3)
    assert result["ok"], result


async def test_the_database_crashes_under_load_and_nothing_ends_wrong(world: Rig):
    result = await restarts.drill(world, callers=8, seconds=0.5, strikes=("a backend killed", "restart, fast"))
    assert result["ok"], result


async def test_overload_is_refused_before_anything_happens(world: Rig):
    result = await overload.drill(world, seconds=4, warm=0.5, measure=1)
    assert result["ok"], result


async def test_wrong_clocks_neither_replay_too_late_nor_lose_anything(world: Rig):
    result = await clock.drill(world, seconds=0.5, parts=("serve ahead",))
    assert result["ok"], result


async def test_no_answered_payment_is_lost_with_the_primary(world: Rig):
    result = await standby.drill(world, callers=8, seconds=1.5)
    assert result["ok"], result
    assert result["acknowledged"] > 50
