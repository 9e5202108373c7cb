"""F08: the database may have kept a payment and could not say so any more. The caller is never told of an error."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scrooge.api.app import create_api
from scrooge.app import open_scrooge
from scrooge.errors import DatabaseUnavailable
from scrooge.flows import authorize
from scrooge.flows.scrooge import Scrooge
from scrooge.settings import Settings
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.api.asgi import Api, Got, asked
from tests.conftest import free_port


@pytest.fixture
async def s(database_url: str) -> AsyncIterator[Scrooge]:
    async with open_scrooge(Settings(database_url=database_url, database_pool=4)) as s:
        yield s


@pytest.fixture
async def api(s: Scrooge) -> Api:
    caller = await create_caller(s.db, await create_merchant(s.db, f"m-{uuid.uuid4().hex}"), "checkout")
    return Api(create_api(s), (await create_key(s.db, caller, ["*"], False))[1], s)


async def post(api: Api, path: str, body: Any, key: str = "") -> Got:
    return await asked(api, "POST", path, [json.dumps(body).encode()], idempotency_key=key or uuid.uuid4().hex)


async def order(api: Api) -> dict[str, Any]:
    """At a PSP where nobody listens: what is asked there is known not to have moved money."""
    account = {
        "name": "stripe", "connector": "stripe", "merchant_account": "acct", "mode": "test",
        "credentials": {"api_key": "sk_test_1"}, "base_url": f"http://127.0.0.1:{free_port()}",
    }  # fmt: skip
    assert (await post(api, "/v1/connector-accounts", account)).status == 201
    credentials = [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]
    made = await post(api, "/v1/instruments", {"customer": "user-1", "credentials": credentials})
    assert made.status == 201, made.content
    return {
        "reference": uuid.uuid4().hex, "amount": {"value": "12.99", "currency": "EUR"}, "customer": "user-1",
        "instrument": made.document["id"],
    }  # fmt: skip


def losing(s: Scrooge, monkeypatch: pytest.MonkeyPatch, *, kept: bool, times: int = 1) -> list[bool]:
    """The connection breaks at the first commits: after the server has done it, or before."""
    real, broken = s.writer.create, []

    async def create(item: Any) -> bool:
        if len(broken) == times:
            return bool(await real(item))
        broken.append(True)
        if kept:
            await real(item)
        lost = DatabaseUnavailable("the database connection was lost")
        lost.unconfirmed = True
        raise lost

    monkeypatch.setattr(s.writer, "create", create)
    return broken


async def test_a_payment_that_was_kept_is_found_by_its_key(s: Scrooge, api: Api, monkeypatch: pytest.MonkeyPatch):
    body, key = await order(api), uuid.uuid4().hex
    broken = losing(s, monkeypatch, kept=True)
    got = await post(api, "/v1/payments", body, key)
    assert broken
    assert (got.status, got.document["code"]) == (409, "request_in_progress"), got.content
    listed = await asked(api, "GET", f"/v1/payments?reference={body['reference']}")
    assert len(listed.document["data"]) == 1


async def test_what_may_have_been_kept_is_not_refused_as_if_nothing_had_been_done(
    s: Scrooge, api: Api, monkeypatch: pytest.MonkeyPatch
):
    body, key = await order(api), uuid.uuid4().hex
    real = s.writer.create

    async def lost(item: Any) -> bool:
        monkeypatch.setattr(s.writer, "create", real)
        assert (await asked(api, "DELETE", f"/v1/instruments/{body['instrument']}")).status == 200
        gone = DatabaseUnavailable("the database connection was lost")
        gone.unconfirmed = True
        raise gone

    monkeypatch.setattr(s.writer, "create", lost)
    got = await post(api, "/v1/payments", body, key)
    assert (got.status, got.document["code"]) == (409, "request_in_progress"), got.content
    assert (await post(api, "/v1/payments", body, key)).document["code"] == "unknown_instrument"


async def test_a_payment_that_was_not_kept_is_made_now(s: Scrooge, api: Api, monkeypatch: pytest.MonkeyPatch):
    body = await order(api)
    broken = losing(s, monkeypatch, kept=False)
    got = await post(api, "/v1/payments", body)
    assert broken
    assert (got.status, got.document["status"]) == (201, "failed"), got.content
    listed = await asked(api, "GET", f"/v1/payments?reference={body['reference']}")
    assert [p["id"] for p in listed.document["data"]] == [got.document["id"]]


async def test_what_is_lost_twice_is_not_said_to_be_undone(s: Scrooge, api: Api, monkeypatch: pytest.MonkeyPatch):
    body, key = await order(api), uuid.uuid4().hex
    broken = losing(s, monkeypatch, kept=False, times=2)
    got = await post(api, "/v1/payments", body, key)
    assert len(broken) == 2
    assert (got.status, got.document["code"]) == (409, "request_in_progress"), got.content
    assert (await post(api, "/v1/payments", body, key)).status == 201


@pytest.mark.parametrize("routed", [True, False], ids=["asked", "nowhere"])
async def test_what_may_have_been_kept_is_not_said_to_be_undone_while_nobody_can_look(
    s: Scrooge, api: Api, monkeypatch: pytest.MonkeyPatch, routed: bool
):
    """The connection breaks at the commit, and the database stays away: no 503, which would say that nothing was done."""
    body = await order(api)
    if not routed:
        switch = {"connector_account": "stripe", "state": "off", "reason": "a test"}
        assert (await post(api, "/v1/routing/switches", switch)).status == 201
    losing(s, monkeypatch, kept=True)
    looks: list[bool] = []

    async def away(*_: Any) -> None:
        looks.append(True)
        raise DatabaseUnavailable("the database cannot be reached")

    monkeypatch.setattr(authorize, "earlier", away)
    got = await post(api, "/v1/payments", body)
    assert (got.status, got.document["code"]) == (409, "request_in_progress"), got.content
