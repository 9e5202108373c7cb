"""Webhooks end to end: what becomes true reaches a receiver, signed, at least once, and nobody waits for another."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from tests.receiver import Receiver, receiving
from tests.world import World

from scrooge.ids import bucket_in, hex_of, new_id

TESTS_ONLY = {"events": ["test"]}  # What other tests' payments still bring does not come to this endpoint.


async def made(world: World, url: str, **more: Any) -> dict[str, Any]:
    status, endpoint = await world.post("/v1/webhook-endpoints", {"url": url, **more})
    assert status == 201, endpoint
    return endpoint


async def gone(world: World, endpoint: dict[str, Any]) -> None:
    async with world.http.delete(
        f"{world.api_url}/v1/webhook-endpoints/{endpoint['id']}", headers=world.headers()
    ) as answer:
        assert answer.status == 200


async def patch(world: World, endpoint: dict[str, Any], **fields: Any) -> dict[str, Any]:
    url = f"{world.api_url}/v1/webhook-endpoints/{endpoint['id']}"
    async with world.http.patch(url, json=fields, headers=world.headers()) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def until(ready: Callable[[], Any], seconds: float = 120) -> Any:
    for _ in range(int(seconds / 0.1)):
        found = ready()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen in time")


async def deliveries(world: World, endpoint: dict[str, Any], state: str = "") -> list[dict[str, Any]]:
    query = f"?limit=100&state={state}" if state else "?limit=100"
    status, page = await world.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries{query}")
    assert status == 200, page
    return page["data"]


def told(receiver: Receiver, p: dict[str, Any]) -> list[dict[str, Any]]:
    """What the receiver heard of one payment; it hears of other tests' payments too."""
    return [m for m in receiver.messages() if m["data"]["payment"] == p["id"]]


async def test_what_became_true_arrives_signed_and_as_the_feed_shows_it(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url, events=["sale_*"])
    assert endpoint["secret"].startswith("whsec_")
    assert "secret" not in (await world.get(f"/v1/webhook-endpoints/{endpoint['id']}"))[1]
    _, p = await world.pay("stripe")
    # Others' payments may be heard too: what earlier tests left in the inbox is applied whenever the worker gets to it.
    await until(lambda: told(receiver, p))
    receiver.verified(endpoint["secret"])
    [message] = told(receiver, p)
    [event] = await world.events(p["id"], "sale_approved")
    assert event["id"] in receiver.ids()
    assert message == {"type": "sale_approved", "timestamp": event["created_at"], "data": event}
    delivered = await until(lambda: delivered_of(world, endpoint, p))
    assert [(d["event"], d["tries"], d["last_status"]) for d in delivered] == [(event["id"], 1, 204)]
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(receiver.got[0][1], receiver.got[0][0])
    await gone(world, endpoint)


async def delivered_of(world: World, endpoint: dict[str, Any], p: dict[str, Any]) -> list[dict[str, Any]]:
    return [d for d in await deliveries(world, endpoint, "delivered") if d["payment"] == p["id"]]


async def test_an_endpoint_hears_only_what_it_asked_for(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url, events=["refund_*", "capture_approved"])
    _, p = await world.pay("stripe")
    amount = {"value": "1.00", "currency": "EUR"}
    assert (await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "r", "amount": amount}))[0] == 201
    await until(lambda: told(receiver, p))
    assert {m["type"] for m in told(receiver, p)} == {"refund_approved"}
    assert not [m for m in receiver.messages() if m["type"].startswith("sale")]
    await gone(world, endpoint)


async def test_what_was_not_taken_is_sent_again_under_the_same_id(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    seen_failing = asyncio.Event()
    receiver.answer = lambda n: web.Response(
        status=200 if seen_failing.is_set() else 500, text="card 4111 1111 1111 1111 broke it"
    )
    _, delivery = await world.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    [failed] = await until(lambda: tried(world, endpoint))
    assert (failed["state"], failed["last_status"], failed["last_reply"]) == (
        "pending", 500, "card [digits] broke it",
    )  # fmt: skip
    await until(lambda: failing(world, endpoint))
    seen_failing.set()
    await until(lambda: deliveries(world, endpoint, "delivered"))
    assert len(receiver.got) >= 2
    assert set(receiver.ids()) == {delivery["event"]}
    assert {m["type"] for m in receiver.verified(endpoint["secret"])} == {"test"}
    await until(lambda: recovered(world, endpoint))
    await gone(world, endpoint)


async def tried(world: World, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    return [d for d in await deliveries(world, endpoint) if d["last_status"] or d["last_error"]]


async def read(world: World, endpoint: dict[str, Any]) -> dict[str, Any]:
    return (await world.get(f"/v1/webhook-endpoints/{endpoint['id']}"))[1]


async def failing(world: World, endpoint: dict[str, Any]) -> bool:
    return (await read(world, endpoint))["failing_since"] is not None


async def recovered(world: World, endpoint: dict[str, Any]) -> bool:
    return (await read(world, endpoint))["failing_since"] is None


async def test_during_a_rotation_both_secrets_sign_and_afterwards_only_the_new_one(
    world: World, receiver: Receiver, sql: asyncpg.Connection
):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    status, rotated = await world.post(f"{path}/rotate-secret", {"overlap_seconds": 3600})
    assert (status, rotated["secret"] != endpoint["secret"]) == (200, True)
    await world.post(f"{path}/test", {})
    await until(lambda: receiver.got)
    assert len(receiver.got[0][0]["webhook-signature"].split()) == 2
    receiver.verified(endpoint["secret"])
    receiver.verified(rotated["secret"])
    await sql.execute("UPDATE webhook_endpoints SET previous_until = now() WHERE id = $1", hex_of(endpoint["id"]))
    _, second = await world.post(f"{path}/test", {})
    [(headers, body), *_] = await until(lambda: [g for g in receiver.got if g[0]["webhook-id"] == second["event"]])
    Webhook(rotated["secret"]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(body, headers)
    await gone(world, endpoint)


async def test_a_receiver_that_is_gone_is_not_called_again(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    receiver.answer = lambda n: web.Response(status=410)
    await world.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    [dead] = await until(lambda: deliveries(world, endpoint, "dead"))
    assert dead["last_status"] == 410
    found = await until(lambda: disabled(world, endpoint))
    assert found["disabled_reason"] == "gone"
    status, refused = await world.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    assert (status, refused["code"]) == (409, "endpoint_disabled")
    await gone(world, endpoint)


async def disabled(world: World, endpoint: dict[str, Any]) -> dict[str, Any] | None:
    found = await read(world, endpoint)
    return None if found["enabled"] else found


async def test_a_redirect_is_a_failure_and_is_not_followed(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    receiver.answer = lambda n: web.Response(status=302, headers={"Location": receiver.url + "/elsewhere"})
    await world.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    [failed] = await until(lambda: tried(world, endpoint))
    assert (failed["state"], failed["last_status"]) == ("pending", 302)
    await gone(world, endpoint)
    assert set(receiver.paths) == {"/hooks"}


async def test_after_the_whole_schedule_it_is_dead_and_can_be_retried(
    world: World, receiver: Receiver, sql: asyncpg.Connection
):
    endpoint = await made(world, receiver.url, **TESTS_ONLY)
    receiver.answer = lambda n: web.Response(status=500 if n == 1 else 200)
    await sql.execute("UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'merchant' WHERE id = $1",
                      hex_of(endpoint["id"]))  # fmt: skip
    bucket = bucket_in(endpoint["id"])
    insert = """INSERT INTO webhook_deliveries (bucket, id, endpoint_id, event_id, type, origin, tries)
                VALUES ($1, $2, $3, $4, 'test', 'test', 9)"""
    ids = (hex_of(new_id("whd", bucket)), hex_of(endpoint["id"]), hex_of(new_id("evt", bucket)))
    await sql.execute(insert, bucket, *ids)
    await patch(world, endpoint, enabled=True)
    [dead] = await until(lambda: deliveries(world, endpoint, "dead"))
    assert dead["tries"] == 10
    status, again = await world.post(f"/v1/webhook-deliveries/{dead['id']}/retry", {})
    assert (status, again["state"], again["tries"]) == (202, "pending", 0)
    [taken] = await until(lambda: deliveries(world, endpoint, "delivered"))
    assert taken["id"] == dead["id"]
    assert receiver.ids() == [dead["event"]] * 2
    await gone(world, endpoint)


async def test_days_of_nothing_but_failures_disable_it_and_tell_an_operator(
    world: World, receiver: Receiver, sql: asyncpg.Connection
):
    endpoint = await made(world, receiver.url)
    key = hex_of(endpoint["id"])
    receiver.answer = lambda n: web.Response(status=503)
    await sql.execute("UPDATE webhook_endpoints SET failing_since = now() - interval '6 days' WHERE id = $1", key)
    _, p = await world.pay("stripe")
    found = await until(lambda: disabled(world, endpoint))
    assert found["disabled_reason"] == "failing"
    opened = "SELECT count(*) FROM breaks WHERE natural_key = $1 AND closed_at IS NULL"
    assert await until(lambda: sql.fetchval(opened, endpoint["id"])) == 1
    assert await sql.fetchval("SELECT livemode FROM breaks WHERE natural_key = $1", endpoint["id"]) is False
    _, missed = await world.pay("stripe")
    receiver.answer = lambda n: web.Response(status=200)
    receiver.got.clear()
    await patch(world, endpoint, enabled=True)
    assert await sql.fetchval(opened, endpoint["id"]) == 0
    await until(lambda: missed["id"] in {m["data"]["payment"] for m in receiver.messages()})
    await gone(world, endpoint)


async def test_a_replay_delivers_the_range_again_under_the_same_ids(world: World, receiver: Receiver):
    payments = [(await world.pay("stripe"))[1]["id"] for _ in range(3)]
    _, last = await world.pay("stripe")
    wanted = [(await world.events(p, "sale_approved"))[0] for p in payments]
    endpoint = await made(world, receiver.url)
    path = f"/v1/webhook-endpoints/{endpoint['id']}/replay"
    status, replay = await world.post(path, {"from": wanted[0]["created_at"], "to": wanted[-1]["created_at"]})
    assert (status, replay["state"]) == (202, "running"), replay
    await until(lambda: {e["id"] for e in wanted} <= set(receiver.ids()))
    assert last["id"] not in {m["data"]["payment"] for m in receiver.messages()}
    done = await until(lambda: replay_done(world, replay))
    assert done == {**replay, "state": "done", "deliveries": 3, "done_at": done["done_at"]}
    assert done["done_at"] >= replay["created_at"]
    assert (await world.get(f"/v1/webhook-replays/{replay['id']}", key=world.other_key))[0] == 404
    await until(lambda: one_event(world, path, wanted[1]["id"]))
    await until(lambda: receiver.ids().count(wanted[1]["id"]) >= 2)
    replayed = Counter(d["event"] for d in await deliveries(world, endpoint) if d["origin"] == "replay")
    assert [replayed[e["id"]] for e in wanted] == [1, 2, 1]
    status, refused = await world.post(path, {"from": "2026-13-01", "to": "x"})
    assert (status, refused["code"], refused["param"]) == (422, "invalid_field", "from")
    await gone(world, endpoint)


async def replay_done(world: World, replay: dict[str, Any]) -> dict[str, Any] | None:
    status, found = await world.get(f"/v1/webhook-replays/{replay['id']}")
    assert status == 200, found
    return found if found["state"] == "done" else None


async def one_event(world: World, path: str, event: str) -> bool:
    """Once the replay before it is done."""
    status, found = await world.post(path, {"from": event, "to": event})
    assert status == 202 or found["code"] == "replay_running", found
    return status == 202


async def test_another_merchants_endpoints_and_deliveries_do_not_exist(world: World, receiver: Receiver):
    endpoint = await made(world, receiver.url)
    _, delivery = await world.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    for path in (f"/v1/webhook-endpoints/{endpoint['id']}", f"/v1/webhook-deliveries/{delivery['id']}"):
        assert (await world.get(path, key=world.other_key))[0] == 404
    status, _ = await world.post(f"/v1/webhook-deliveries/{delivery['id']}/retry", {}, key=world.other_key)
    assert status == 404
    await gone(world, endpoint)
    assert (await world.get(f"/v1/webhook-endpoints/{endpoint['id']}"))[0] == 404


@pytest.mark.parametrize(
    "url",
    ["http://shop.example/", "https://10.1.2.3/", "https://[::1]:9/", "https://169.254.169.254/x", "https://x",
     "https://metadata.google.internal/", "https://u:p@shop.example/", "https://shop.example:25/"],
)  # fmt: skip
async def test_a_url_that_may_not_be_called_is_refused_at_once(world: World, url: str):
    status, refused = await world.post("/v1/webhook-endpoints", {"url": url})
    if url == "https://[::1]:9/":  # This machine, which the tests' setting allows.
        assert status == 201
        await gone(world, refused)
    else:
        assert (status, refused["code"], refused["param"]) == (422, "bad_url", "url")


@pytest.fixture
async def patient(world: World) -> AsyncIterator[None]:
    """A worker that waits so long for a receiver that whoever waited for it would be seen waiting."""
    await restart(world, SCROOGE_WEBHOOK_TIMEOUT_SECONDS="60")
    yield
    await restart(world)


async def restart(world: World, **env: str) -> None:
    world.kill("worker")
    world.start("worker", **env)


async def test_twenty_receivers_that_never_answer_delay_no_other(world: World, receiver: Receiver, patient: None):
    async with receiving() as dead:
        dead.delay = 3600
        slow = [await made(world, f"{dead.url}/{n}") for n in range(20)]
        live = await made(world, receiver.url)
        await told_of_all(world, [receiver], [(await world.pay("stripe"))[1] for _ in range(8)])
        assert (len(dead.got) > 0, dead.ended) == (True, 0), "none of them had ended when all was told elsewhere"
        assert dead.most <= len(slow) * 8, "eight in flight to one endpoint"
        for endpoint in (*slow, live):
            await gone(world, endpoint)


async def test_one_dead_one_slow_and_one_boundless_receiver_delay_none_of_seventeen(world: World, patient: None):
    async with receiving() as dead, receiving() as slow, receiving() as endless, receiving() as live:
        dead.delay, slow.delay, endless.endless = 3600, 1, True
        bad = [await made(world, r.url, events=["sale_*"]) for r in (dead, slow, endless)]
        good = [await made(world, f"{live.url}/{n}", events=["sale_*"]) for n in range(17)]
        paid = [(await world.pay("stripe"))[1] for _ in range(8)]
        await told_of_all(world, [live], paid, times=17)
        assert (len(dead.got) > 0, dead.ended) == (True, 0)
        await told_of_all(world, [slow, endless], paid)
        assert max(r.most for r in (dead, slow, endless)) <= 8
        await until(lambda: endless.now == 0)
        assert endless.sent < 64 << 20, "no more than the network holds by itself is taken of an answer"
        for p in paid:
            assert [d["last_status"] for d in await until(partial(delivered_of, world, bad[2], p))] == [200]
        for endpoint in (*bad, *good):
            await gone(world, endpoint)


async def told_of_all(world: World, receivers: list[Receiver], paid: list[dict[str, Any]], times: int = 1) -> None:
    """Until each of the receivers has heard of every payment, on so many paths."""

    def heard() -> bool:
        return all(len({path for m, path in zip(r.messages(), r.paths, strict=True) if m["data"]["payment"] == p["id"]})
                   >= times for r in receivers for p in paid)  # fmt: skip

    await until(heard, seconds=50)
