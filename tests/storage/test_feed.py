"""The feed of events: nothing lost, nothing twice, one order for ever, whatever commits when."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.storage import endpoints, listing, webhooks, work
from scrooge.storage.access import create_merchant

START = ("0", "0" * 32)
WRITERS, TRANSACTIONS = 16, 12
INSERT = """
    INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)
    SELECT 0, p, e, $1, false, p, 'sale_approved', 1, '{}' FROM unnest($2::uuid[], $3::uuid[]) AS made(p, e)"""


@pytest.fixture
async def db(fresh_database_url: str) -> AsyncIterator[Database]:
    db = await connect(fresh_database_url, size=8)
    yield db
    await db.close()


async def write(connection: asyncpg.Connection, merchant: str, count: int) -> list[str]:
    """So many events in one statement, as group commit writes them: they share a transaction id."""
    ids = [new_id("evt", 0) for _ in range(count)]
    random.shuffle(ids)
    await connection.execute(
        INSERT, hex_of(merchant), [hex_of(new_id("pay", 0)) for _ in ids], [hex_of(i) for i in ids]
    )
    return ids


async def writer(url: str, merchant: str, seed: int) -> list[str]:
    """Transactions that stay open for a while after they wrote; every fifth comes to nothing."""
    chance = random.Random(seed)
    connection = await asyncpg.connect(url)
    kept: list[str] = []
    for _ in range(TRANSACTIONS):
        transaction = connection.transaction()
        await transaction.start()
        made = await write(connection, merchant, chance.choice([1, 1, 3, 20]))
        await asyncio.sleep(chance.choice([0, 0, 0.01, 0.05, 0.2]))
        if chance.random() < 0.2:
            await transaction.rollback()
        else:
            await transaction.commit()
            kept += made
    await connection.close()
    return kept


async def read_on(db: Database, merchant: str, limit: int, over: asyncio.Event) -> list[str]:
    """A reader with a cursor: polls until everybody has written and there is no more."""
    found: list[str] = []
    place = START
    while True:
        last_look = over.is_set()
        page, place, more = await listing.feed(db, merchant, False, place, None, limit)
        found += [e.id for e in page]
        if last_look and not more:
            return found


async def spread_on(db: Database, endpoint: str, over: asyncio.Event) -> None:
    """A worker that spreads the feed to an endpoint, in pages so small that it is never done with one look."""
    while True:
        last_look = over.is_set()
        more = await webhooks.spread(db, endpoint, 7)
        if last_look and not more and endpoint not in await webhooks.behind(db, 100):
            return
        await asyncio.sleep(0.005)


async def test_readers_and_endpoints_miss_nothing_that_sixteen_writers_commit(db: Database, fresh_database_url: str):
    merchant = await create_merchant(db, "feed")
    endpoint = await endpoints.add(db, merchant, False, "https://shop.example/", ["*"], "", "sealed", 50, "test")
    assert endpoint is not None
    over = asyncio.Event()
    readers = [asyncio.create_task(read_on(db, merchant, limit, over)) for limit in (1, 10, 100)]
    workers = [asyncio.create_task(spread_on(db, endpoint.id, over)) for _ in range(3)]
    kept = await asyncio.gather(*(writer(fresh_database_url, merchant, seed) for seed in range(WRITERS)))
    await all_shown(db)
    over.set()
    committed = {i for ids in kept for i in ids}
    first, *others = await asyncio.gather(*readers)
    await asyncio.gather(*workers)
    assert len(first) == len(set(first)), "nothing twice"
    assert set(first) == committed, "nothing lost, nothing that was rolled back"
    over.set()
    assert [first] * 3 == [*others, await read_on(db, merchant, 50, over)], "one order, for every reader"
    told = await db.pool.fetch("SELECT event_id FROM webhook_deliveries WHERE endpoint_id = $1", hex_of(endpoint.id))
    assert sorted(row["event_id"].hex for row in told) == sorted(hex_of(i) for i in committed)


async def test_a_transaction_that_nobody_ends_holds_the_feed_back_and_is_seen(db: Database, fresh_database_url: str):
    merchant = await create_merchant(db, "feed")
    foreign, ours = await asyncpg.connect(fresh_database_url), await asyncpg.connect(fresh_database_url)
    transaction = foreign.transaction()
    await transaction.start()
    await foreign.execute("SELECT pg_current_xact_id()")
    assert (await work.backlog(db))["hidden_event_seconds"] == 0, "it holds nothing back yet"
    ids = await write(ours, merchant, 1)
    await asyncio.sleep(0.05)
    assert (await listing.feed(db, merchant, False, START, None, 10))[0] == []
    assert (await work.backlog(db))["hidden_event_seconds"] >= 0.05
    await transaction.rollback()
    await all_shown(db)
    assert [e.id for e in (await listing.feed(db, merchant, False, START, None, 10))[0]] == ids
    await foreign.close()
    await ours.close()


async def all_shown(db: Database) -> None:
    """Until the feed hides nothing: a transaction anywhere on the server holds it back while it is open."""
    while (await work.backlog(db))["hidden_event_seconds"]:
        await asyncio.sleep(0.02)


async def blocks(db: Database, merchant: str, after: tuple[str, str]) -> int:
    """Blocks that one page of the feed reads, with the plan that serving uses."""
    async with db.connection() as connection:
        sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {listing.Q['feed'].sql}"
        text = await connection.fetchval(sql, hex_of(merchant), False, *after, None, 21, 20 + listing.SPARE)
    plan: dict[str, Any] = msgspec.json.decode(text)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def test_a_page_of_the_feed_costs_the_same_however_many_events_there_are(db: Database, fresh_database_url: str):
    merchant = await create_merchant(db, "feed")
    connection = await asyncpg.connect(fresh_database_url)
    for _ in range(5):
        await write(connection, merchant, 400)
    await all_shown(db)
    page, _, _ = await listing.feed(db, merchant, False, START, None, 1000)
    few = await blocks(db, merchant, START), await blocks(db, merchant, page[-1].position)
    for _ in range(20):
        await write(connection, merchant, 2000)
    await connection.execute("ANALYZE events")
    await connection.close()
    many = await blocks(db, merchant, START), await blocks(db, merchant, page[-1].position)
    assert max(many) <= 1.5 * max(few) + 20, (few, many)
