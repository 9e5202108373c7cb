"""What the tests of flows share: a Scrooge in this process beside the world's, a receiver of webhooks, the owner's SQL."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.receiver import Receiver, receiving
from tests.world import World, alone

from scrooge.flows.scrooge import Scrooge


@pytest.fixture(scope="module")
async def s(world: World) -> AsyncIterator[Scrooge]:
    async with alone(world) as s:
        yield s


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sql(world: World) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(world.database_url)
    yield connection
    await connection.close()
