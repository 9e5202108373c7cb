"""Webhook endpoints that cannot be sent to: deleted ones, and those whose secret no key opens."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from tests.flows.test_webhooks import TESTS_ONLY, deliveries, gone, made, tried, until
from tests.receiver import Receiver
from tests.world import World

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage import webhooks


async def test_what_waits_for_a_deleted_endpoint_ends(world: World, receiver: Receiver, sql: asyncpg.Connection):
    kept, endpoint = await made(world, receiver.url, **TESTS_ONLY), await made(world, receiver.url, **TESTS_ONLY)
    receiver.answer = lambda n: web.Response(status=500)
    for e in (kept, endpoint):
        await world.post(f"/v1/webhook-endpoints/{e['id']}/test", {})
        await until(lambda e=e: tried(world, e))
    key, bucket = hex_of(endpoint["id"]), bucket_in(endpoint["id"])
    await sql.execute(
        "INSERT INTO webhook_replays (bucket, id, endpoint_id, from_at, to_at, from_id, to_id, cursor_xid, cursor_id)"
        " SELECT $1, $2, $3, now(), now(), $2, $2, pg_current_xact_id(), $2",
        bucket, hex_of(new_id("whr", bucket)), key,
    )  # fmt: skip
    await gone(world, endpoint)
    replays = "SELECT state FROM webhook_replays WHERE endpoint_id = $1"
    assert [row["state"] for row in await sql.fetch(replays, key)] == ["done"]
    db = await connect(world.database_url, size=1)
    try:
        await webhooks.forget(db, 1000)
    finally:
        await db.close()
    assert await sql.fetchval("SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1", key) == 0
    assert len(await deliveries(world, kept)) == 1, "another's are left alone"
    await gone(world, kept)


@pytest.fixture
async def silence(world: World) -> AsyncIterator[None]:
    """No worker makes anything of what is asked for meanwhile."""
    world.processes["worker"].terminate()
    world.processes["worker"].wait(60)
    yield
    world.start("worker")


async def test_a_second_replay_is_told_when_to_come_again(world: World, receiver: Receiver, silence: None):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    path, body = f"/v1/webhook-endpoints/{endpoint['id']}/replay", {"from": endpoint["created_at"]}
    status, running = await world.post(path, body)
    assert (status, running["state"], running["done_at"]) == (202, "running", None)
    async with world.http.post(f"{world.api_url}{path}", json=body, headers=world.headers()) as answer:
        refused = await answer.json()
    assert (answer.status, refused["code"], answer.headers["Retry-After"]) == (409, "replay_running", "5")
    await gone(world, endpoint)


@pytest.mark.parametrize(("event", "status"), [
    ("*", 200), ("sale_*", 200), ("sale*", 200), ("sale_approved", 200), ("test", 200), ("t*", 200),
    ("sale_aproved", 422), ("sales_*", 422), ("sale_", 422), ("capture_expired", 422),
])  # fmt: skip
async def test_an_endpoint_waits_only_for_what_can_come(world: World, receiver: Receiver, event: str, status: int):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    url = f"{world.api_url}/v1/webhook-endpoints/{endpoint['id']}"
    async with world.http.patch(url, json={"events": ["test", event]}, headers=world.headers()) as answer:
        found = await answer.json()
    await gone(world, endpoint)
    assert answer.status == status, found
    if status == 422:
        assert (found["code"], found["param"]) == ("invalid_field", "events.1")
        assert "sale_approved" in found["detail"]


async def test_a_secret_that_cannot_be_opened_fails_like_a_receiver_and_is_healed_by_rotation(
    world: World, receiver: Receiver, sql: asyncpg.Connection
):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    await sql.execute("UPDATE webhook_endpoints SET secrets = 'of another key' WHERE id = $1", hex_of(endpoint["id"]))
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    await world.post(f"{path}/test", {})
    [failed] = await until(lambda: tried(world, endpoint))
    assert (failed["state"], failed["last_error"]) == ("pending", "its secret cannot be opened")
    spaced = "SELECT due_at > tried_at + interval '4 seconds' FROM webhook_deliveries WHERE endpoint_id = $1"
    assert await sql.fetchval(spaced, hex_of(endpoint["id"]))
    assert receiver.got == [], "nothing leaves unsigned"
    status, rotated = await world.post(f"{path}/rotate-secret", {})
    assert status == 200, rotated
    await world.post(f"/v1/webhook-deliveries/{failed['id']}/retry", {})

    async def taken() -> list[dict[str, Any]]:
        return await deliveries(world, endpoint, "delivered")

    await until(taken)
    receiver.verified(rotated["secret"])
    await gone(world, endpoint)
