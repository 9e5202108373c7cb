"""A slice of each drill; `make drills` runs them in full."""

from collections.abc import AsyncIterator

import pytest

from scrooge.cli import doctor
from scrooge.storage import condition
from tests.drills import standby
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


async def test_no_answered_payment_is_lost_with_the_primary(world: Rig):
    result = await standby.drill(world, callers=8, seconds=1.5)
    assert result["ok"], result
    assert result["acknowledged"] > 50
