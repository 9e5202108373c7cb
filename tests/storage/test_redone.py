"""A transaction that PostgreSQL undid to end a deadlock is done once more, and nobody hears of it."""

import asyncio

import asyncpg
import pytest

from scrooge.errors import DatabaseUnavailable
from scrooge.postgres.database import TRIES, Database, connect, redone


@pytest.fixture
async def db(database_url: str):
    found = await connect(database_url, size=2)
    yield found
    await found.close()


@pytest.fixture
async def other(database_url: str):
    """A session that never gives way in a deadlock."""
    connection = await asyncpg.connect(database_url, server_settings={"deadlock_timeout": "10min"})
    yield connection
    await connection.close()


async def test_a_deadlock_is_ended_and_its_victim_done_again(db: Database, other: asyncpg.Connection):
    tries = 0
    taken = asyncio.Event()

    @redone
    async def phase() -> int:
        nonlocal tries
        tries += 1
        async with db.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(71)")
            taken.set()
            await connection.execute("SELECT pg_advisory_xact_lock(72)")
        return tries

    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(72)")
        ours = asyncio.create_task(phase())
        await taken.wait()
        await other.execute("SELECT pg_advisory_xact_lock(71)")  # Waits for ours, which waits for it.
    assert await ours == tries == 2


@pytest.mark.parametrize(("code", "expected"), [("40P01", TRIES), ("40001", TRIES), ("55P03", 1), ("57014", 1)])
async def test_only_what_was_undone_whole_is_tried_again_and_not_for_ever(db: Database, code: str, expected: int):
    tries = 0

    @redone
    async def phase() -> None:
        nonlocal tries
        tries += 1
        async with db.transaction() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")

    with pytest.raises(DatabaseUnavailable):
        await phase()
    assert tries == expected
