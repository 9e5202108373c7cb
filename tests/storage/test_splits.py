"""What a payment with tenders needs of PostgreSQL: a turn with each piece of news, and decisions that are made once."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from scrooge.domain.split import Closing, Tender
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.storage import splits
from scrooge.storage.access import create_caller, create_merchant


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await connect(database_url, size=2)
    yield db
    await db.close()


async def recorded(db: Database) -> tuple[str, str]:
    """(the whole, its first part), as they are while the first tender is asked; it is nobody's turn."""
    merchant = await create_merchant(db, f"split-{uuid.uuid4().hex[:12]}")
    caller = await create_caller(db, merchant, "checkout")
    whole = new_id("pay", 5)
    part = new_id("pay", 5)
    async with db.connection() as connection:
        for payment, part_of, tenders in ((whole, None, 2), (part, whole, None)):
            await connection.execute(
                "INSERT INTO payments (bucket, id, merchant_id, caller_id, reference, minor, currency, sale, livemode, status,"
                " deadline_at, part_of, tenders) VALUES ($1, $2, $3, $4, $5, 1000, 'EUR', false, false, 'processing', now(), $6, $7)",
                bucket_in(payment), hex_of(payment), hex_of(merchant), hex_of(caller), payment,
                hex_of(part_of) if part_of else None, tenders,
            )  # fmt: skip
        found = await splits.payments.read(connection, whole)
        assert found is not None
        await splits.record(connection, found, [Tender(part, "ins_1", 400), Tender("pay_2", "ins_2", 600)], 0.0)
        await connection.execute(
            "UPDATE splits SET look_at = NULL, leased_until = NULL WHERE payment_id = $1", hex_of(whole)
        )
    return whole, part


async def state(db: Database, whole: str) -> tuple[int, bool]:
    """(how much news there was, is it somebody's turn)"""
    async with db.connection() as connection:
        row = await connection.fetchrow(
            "SELECT news, look_at <= now() AS due FROM splits WHERE payment_id = $1", hex_of(whole)
        )
    return row["news"], bool(row["due"])


async def test_news_of_a_part_makes_it_somebodys_turn_in_the_same_commit(db: Database):
    whole, part = await recorded(db)
    assert await state(db, whole) == (0, False)
    async with db.connection() as connection:
        with pytest.raises(RuntimeError):
            async with connection.transaction():
                await connection.execute("UPDATE payments SET version = 2 WHERE id = $1", hex_of(part))
                raise RuntimeError
        assert await state(db, whole) == (0, False), "undone with it"
        await connection.execute("UPDATE payments SET version = 2 WHERE id = $1", hex_of(part))
    assert await state(db, whole) == (1, True)
    async with db.connection() as connection:
        await connection.execute("UPDATE payments SET version = 2 WHERE id = $1", hex_of(whole))
    assert await state(db, whole) == (1, True), "the whole is no part"


async def test_one_worker_at_a_time_has_it_and_whoever_dies_leaves_it_to_the_next(db: Database):
    whole, part = await recorded(db)
    async with db.connection() as connection:
        await connection.execute("UPDATE payments SET version = 2 WHERE id = $1", hex_of(part))

    async def claimed() -> bool:
        return whole in {due.payment for due in await splits.claim(db, 1000, 60)}

    assert await claimed()
    assert not await claimed()
    async with db.connection() as connection:  # A minute later.
        await connection.execute(
            "UPDATE splits SET look_at = now(), leased_until = now() WHERE payment_id = $1", hex_of(whole)
        )
    assert await claimed()


async def test_how_it_is_split_and_why_it_ends_is_decided_once(db: Database):
    whole, _ = await recorded(db)
    assert await splits.close(db, whole, Closing("voided", "canceled", "c"))
    assert not await splits.close(db, whole, Closing("failed", "other", "o"))
    for change in ("closing = NULL", "tenders = '[1, 2]'"):
        async with db.connection() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"UPDATE splits SET {change} WHERE payment_id = $1", hex_of(whole))
