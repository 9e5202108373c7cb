"""Batches over the API: who sees them, what changes them, how they are listed and read."""

import json

import pytest

from scrooge.ids import hex_of
from tests.api.asgi import opened
from tests.batches.conftest import Desk, file_of


async def test_the_same_key_answers_the_same_batch_and_another_body_is_refused(desk: Desk):
    body = b'{"name": "renewals"}'
    first = await desk.ask("POST", "/v1/batches", body, idempotency_key="once")
    again = await desk.ask("POST", "/v1/batches", b'{"name":"renewals"}', idempotency_key="once")
    assert (first.status, again.status) == (201, 201)
    assert first.document["id"] == again.document["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await desk.ask("POST", "/v1/batches", b'{"name": "others"}', idempotency_key="once")
    assert (other.status, other.document["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(("body", "param"), [
    ({"window": {"not_before": "2030-01-02T00:00:00Z", "deadline": "2030-01-01T00:00:00Z"}}, "window.deadline"),
    ({"window": {"deadline": "2020-01-01T00:00:00Z"}}, "window.deadline"),
    ({"pacing": {"max_tps": 0}}, "pacing.max_tps"),
    ({"kind": "refunds"}, "kind"),
    ({"name": ""}, "name"),
    ({"pacing": {"per_connector": {"nobody": 1}}}, "pacing.per_connector.nobody"),
])  # fmt: skip
async def test_what_cannot_be_is_refused_by_name(desk: Desk, body: dict[str, object], param: str):
    got = await desk.ask("POST", "/v1/batches", json.dumps({"name": "renewals"} | body).encode())
    assert (got.status, got.document["param"]) == (422, param)


async def test_another_merchants_batch_is_not_there(desk: Desk, database_url: str):
    batch = (await desk.batch())["id"]
    async with opened(database_url) as other:
        stranger = Desk(other, desk.whose)
        for method, path in (
            ("GET", ""),
            ("PUT", "/input"),
            ("POST", "/start"),
            ("GET", "/results"),
            ("GET", "/errors"),
        ):
            assert (await stranger.ask(method, f"/v1/batches/{batch}{path}")).status == 404
        assert (await stranger.ask("GET", "/v1/batches")).document["data"] == []


async def test_a_batch_is_started_paused_resumed_and_canceled_and_each_twice_is_once(desk: Desk):
    batch = (await desk.batch())["id"]
    assert (await desk.ask("POST", f"/v1/batches/{batch}/start")).document["code"] == "batch_status_conflict"
    await desk.put(batch, file_of(await desk.mandates(1), 2))
    for act, status in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "canceled")):
        for _ in range(2):
            got = await desk.ask("POST", f"/v1/batches/{batch}/{act}", b'{"reason": "as planned"}')
            assert (got.status, got.document["status"]) == (200, status)
    found = await desk.read(batch)
    assert [h["act"] for h in found["history"]] == ["close", "validate", "start", "pause", "resume", "cancel"]
    assert {h["author"] for h in found["history"][2:]} == {desk.whose.key_id}
    assert found["counts"]["left"] == 2
    refused = await desk.ask("POST", f"/v1/batches/{batch}/resume")
    assert (refused.status, refused.document["batch_status"]) == (409, "canceled")


async def test_lines_that_a_canceled_batch_did_not_send_are_told_as_left(desk: Desk):
    batch = (await desk.batch())["id"]
    await desk.put(batch, file_of(await desk.mandates(1), 1203))
    assert await desk.lines(batch, "results") == [], "none has ended"
    await desk.ask("POST", f"/v1/batches/{batch}/cancel")
    told = await desk.lines(batch, "results")
    assert [t["line"] for t in told] == list(range(1, 1204))
    assert {t["status"] for t in told} == {"left"}
    assert [t["line"] for t in await desk.lines(batch, "results", after=1200)] == [1201, 1202, 1203]


async def test_results_stop_before_the_first_line_that_has_not_ended(desk: Desk):
    batch = (await desk.batch())["id"]
    await desk.put(batch, file_of(await desk.mandates(1), 4))
    done = (
        "UPDATE batch_lines SET state = 'done', payment_id = gen_random_uuid() WHERE batch_id = $1 AND line = ANY ($2)"
    )
    async with desk.api.s.db.connection() as connection:
        await connection.execute(done, hex_of(batch), [1, 3])
    assert [t["line"] for t in await desk.lines(batch, "results")] == [1]
    async with desk.api.s.db.connection() as connection:
        await connection.execute(done, hex_of(batch), [2])
    assert [t["line"] for t in await desk.lines(batch, "results", after=1)] == [2, 3]


async def test_nothing_is_behind_the_last_line(desk: Desk):
    batch = (await desk.batch())["id"]
    assert await desk.lines(batch, "results", after=9_999_999_999) == []
    assert await desk.lines(batch, "errors", after=9_999_999_999) == []


async def test_batches_are_listed_by_pages(desk: Desk):
    made = [(await desk.batch(name=f"b{n}"))["id"] for n in range(5)]
    seen: list[str] = []
    path = "/v1/batches?limit=2"
    while True:
        page = (await desk.ask("GET", path)).document
        seen += [b["id"] for b in page["data"]]
        if not page["has_more"]:
            break
        path = f"/v1/batches?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    assert (await desk.ask("GET", "/v1/batches?status=running")).document["data"] == []
