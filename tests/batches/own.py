"""A world for one test alone, where workers may be killed, and its audit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scrooge.cli.database import audited
from tests.batches.rows import Batches, batches_of
from tests.conftest import opened
from tests.world import World

QUICK = {"SCROOGE_PSP_TIMEOUT_SECONDS": "2"}


@pytest.fixture
async def world(server_url: str, template_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """One for each test: nobody else's payments are in its audit, and no other worker takes its lines."""
    async with opened(server_url, template_url, tmp_path) as world:
        yield world


@pytest.fixture
async def rows(world: World) -> AsyncIterator[Batches]:
    async with batches_of(world) as found:
        yield found


async def settled(world: World, rows: Batches, names: list[str]) -> None:
    """Until nothing is in doubt; then each reference was charged once at most, and the books are the PSPs'."""
    for _ in range(120 + len(names) // 50):
        check = await audited(world.database_url, world.sandbox_url)
        if check.unresolved == 0:
            break
        await asyncio.sleep(0.5)
    assert check.ok, check
    assert (check.unresolved, check.double_charges, check.lost) == (0, 0, 0), check
    assert set((await rows.approved(names)).values()) <= {1}
