"""Deliveries of webhooks as rows: one sender at a time, and what was taken stays taken."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.storage import endpoints, webhooks
from scrooge.storage.access import create_merchant
from scrooge.storage.endpoints import Endpoint
from scrooge.storage.webhooks import Delivery, Tried

LEASE = 600.0


@pytest.fixture
async def db(fresh_database_url: str) -> AsyncIterator[Database]:
    db = await connect(fresh_database_url, size=4)
    yield db
    await db.close()


@pytest.fixture
async def endpoint(db: Database) -> Endpoint:
    merchant = await create_merchant(db, "deliveries")
    made = await endpoints.add(db, merchant, False, "https://shop.example/", ["*"], "", "sealed", 50, "test")
    assert made is not None
    return made


async def claimed(db: Database, endpoint: Endpoint, seconds: float = LEASE) -> Delivery:
    [(found, _)] = await webhooks.claim(db, endpoint, 10, seconds)
    return found


def tried(d: Delivery, state: str) -> Tried:
    return Tried(id=hex_of(d.id), tries=d.tries, state=state, due_in=0.0, status=200 if state == "delivered" else 500,
                 error=None, reply="", milliseconds=1)  # fmt: skip


async def test_what_is_on_its_way_is_nobody_elses(db: Database, endpoint: Endpoint):
    made = await webhooks.add_test(db, endpoint.id)
    assert (await claimed(db, endpoint)).id == made.id
    assert await webhooks.claim(db, endpoint, 10, LEASE) == []


async def test_what_was_taken_stays_taken_whatever_a_slower_try_says(db: Database, endpoint: Endpoint):
    made = await webhooks.add_test(db, endpoint.id)
    slow = await claimed(db, endpoint, 0.0)
    again = await claimed(db, endpoint)
    await webhooks.file(db, endpoint.id, [tried(again, "delivered")])
    await webhooks.file(db, endpoint.id, [tried(slow, "dead")])
    kept = await webhooks.read(db, made.id)
    assert kept is not None
    assert (kept.state, kept.status) == ("delivered", 200)


async def test_a_failure_counts_only_while_nobody_has_tried_again(db: Database, endpoint: Endpoint):
    made = await webhooks.add_test(db, endpoint.id)
    slow = await claimed(db, endpoint, 0.0)
    await claimed(db, endpoint)
    await webhooks.file(db, endpoint.id, [tried(slow, "dead")])
    kept = await webhooks.read(db, made.id)
    assert kept is not None
    assert kept.state == "pending"
    await webhooks.file(db, endpoint.id, [tried(slow, "delivered")])
    kept = await webhooks.read(db, made.id)
    assert kept is not None
    assert kept.state == "delivered", "a success counts whoever says so"


DRAWS = 64  # The same one of two every time: once in so many runs that it never happens.


async def another(db: Database, endpoint: Endpoint) -> Endpoint:
    made = await endpoints.add(db, endpoint.merchant, False, "https://other.example/", ["*"], "", "sealed", 50, "test")
    assert made is not None
    return made


async def test_endpoints_that_are_far_behind_keep_none_waiting(db: Database, endpoint: Endpoint):
    both = {endpoint.id, (await another(db, endpoint)).id}
    ids = [hex_of(new_id(kind, 1)) for kind in ("pay", "evt")]
    await db.pool.execute(
        "INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)"
        " VALUES (1, $1, $2, $3, false, $1, 'sale_approved', 2, '{}')", *ids, hex_of(endpoint.merchant),
    )  # fmt: skip
    async with asyncio.timeout(60):
        while set(await webhooks.behind(db, 2)) != both:  # The feed shows it once every older transaction has ended.
            await asyncio.sleep(0.05)
    assert {(await webhooks.behind(db, 1))[0] for _ in range(DRAWS)} == both


async def test_long_replays_keep_no_other_waiting(db: Database, endpoint: Endpoint):
    both = set()
    for e in (endpoint, await another(db, endpoint)):
        made = await webhooks.add_replay(db, e, 0, 1, None, None)
        assert made is not None
        both.add(made.id)
    assert {(await webhooks.replays(db, 1))[0] for _ in range(DRAWS)} == both
