"""Deadlines of callers, and a database that goes away in the middle: before the record a refusal, after it an answer."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tests.api.asgi import Api, Got, asked
from tests.faults.proxy import Proxy

from scrooge.api.app import create_api
from scrooge.app import open_scrooge
from scrooge.settings import Settings
from scrooge.storage import payments
from scrooge.storage.access import create_caller, create_key, create_merchant

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line(Proxy):
    """A connection that can be cut for good: what is open is reset, and nothing is let through again."""

    gone = False

    def __init__(self, *where: Any, path: str = "") -> None:
        super().__init__(*where, path=path)
        self.open_ones: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_ones.append(writer)
        if self.gone:
            writer.transport.abort()
        else:
            await super().serve(reader, writer)

    def drop(self) -> None:
        self.gone = True
        for writer in self.open_ones:
            writer.transport.abort()


class Trap(Proxy):
    """On the way to the PSP: from the first request on the database is gone."""

    line: Line | None = None

    async def upstream(self) -> Streams:
        if self.line is not None:
            self.line.drop()
        return await super().upstream()


def line_to(database_url: str) -> Line:
    host = unquote(database_url.partition("host=")[2])
    if host:
        return Line(path=f"{host}/.s.PGSQL.5432")
    parts = urlsplit(database_url)
    return Line(parts.hostname, parts.port or 5432)


def through(database_url: str, port: int) -> str:
    parts = urlsplit(database_url)
    login = parts.netloc.rpartition("@")[0]
    return f"postgresql://{login}@127.0.0.1:{port}{parts.path}?sslmode=disable"


class Shop:
    """An API in this process, with a database and a PSP behind lines that can be cut."""

    def __init__(self, api: Api, line: Line, trap: Trap) -> None:
        self.api, self.line, self.trap = api, line, trap
        self.instrument = ""

    async def post(self, path: str, body: Any, **headers: str) -> Got:
        headers = {"idempotency_key": uuid.uuid4().hex, **headers}
        return await asked(self.api, "POST", path, [json.dumps(body).encode()], **headers)

    async def pay(self, **headers: str) -> Got:
        body = {"reference": f"order-{uuid.uuid4().hex}", "amount": {"value": "12.99", "currency": "EUR"},
                "instrument": self.instrument, "capture": "manual"}  # fmt: skip
        return await self.post("/v1/payments", body, **headers)


@pytest.fixture
async def shop(database_url: str, sandbox_url: str) -> AsyncIterator[Shop]:
    line, trap = line_to(database_url), Trap("127.0.0.1", int(sandbox_url.rpartition(":")[2]))
    ports = [await line.open(), await trap.open()]
    settings = Settings(database_url=through(database_url, ports[0]), database_pool=4, psp_timeout_seconds=8)
    async with open_scrooge(settings) as s:
        caller = await create_caller(s.db, await create_merchant(s.db, f"m-{uuid.uuid4().hex}"), "checkout")
        shop = Shop(Api(create_api(s), (await create_key(s.db, caller, ["*"], False))[1], s), line, trap)
        await shop.post(
            "/v1/connector-accounts",
            {"name": "stripe", "connector": "stripe", "merchant_account": "acct", "mode": "test",
             "credentials": {"api_key": f"sk_test_{uuid.uuid4().hex}"},
             "base_url": f"http://127.0.0.1:{ports[1]}/stripe"},
        )  # fmt: skip
        made = await shop.post(
            "/v1/instruments",
            {"customer": "user-1", "credentials": [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]},
        )
        shop.instrument = made.document["id"]
        yield shop
        with contextlib.suppress(Exception):
            await line.close()
            await trap.close()


async def test_the_database_dies_when_the_psp_is_asked_and_the_caller_still_gets_an_answer(shop: Shop):
    shop.trap.line = shop.line
    got = await shop.pay()
    assert got.status == 202, got.content
    assert (got.document["status"], got.document["outcome_certainty"]) == ("processing", "unknown")


async def test_a_capture_whose_database_dies_is_answered_too(shop: Shop):
    paid = await shop.pay()
    assert paid.document["status"] == "authorized", paid.content
    shop.trap.line = shop.line
    await shop.api.s.http.connector.close()  # type: ignore[union-attr]  # No kept connection goes past the trap.
    shop.api.s.http._connector = type(shop.api.s.http.connector)()  # type: ignore[attr-defined]
    got = await shop.post(f"/v1/payments/{paid.document['id']}/captures", {})
    assert got.status == 202, got.content
    assert got.document["outcome_certainty"] == "unknown"


async def test_a_database_that_is_gone_before_the_record_is_a_refusal(shop: Shop):
    shop.line.drop()
    got = await shop.pay()
    assert (got.status, got.document["code"]) == (503, "database_unavailable")


async def test_too_short_a_deadline_leaves_nothing_and_the_key_is_still_good(shop: Shop):
    key, body = uuid.uuid4().hex, {"reference": uuid.uuid4().hex, "amount": {"value": "1.00", "currency": "EUR"},
                                   "instrument": shop.instrument, "capture": "manual"}  # fmt: skip
    got = await shop.post("/v1/payments", body, idempotency_key=key, request_timeout="1")
    assert (got.status, got.document["code"]) == (503, "deadline_too_short")
    assert "retry-after" not in got.headers, "it would be refused again"
    paid = await shop.post("/v1/payments", body, idempotency_key=key, request_timeout="30")
    assert paid.status == 201, paid.content
    assert "idempotent-replayed" not in paid.headers
    for moved in ("captures", "voids"):
        got = await shop.post(f"/v1/payments/{paid.document['id']}/{moved}", {}, request_timeout="1")
        assert (got.status, got.document["code"]) == (503, "deadline_too_short")
    p = await payments.read(shop.api.s.db, paid.document["id"])
    assert p is not None
    assert len(p.attempts) == 1


async def test_nothing_is_held_when_all_is_answered(shop: Shop):
    await asyncio.gather(*(shop.pay() for _ in range(8)))
    limits, admission = shop.api.s.limits, shop.api.s.admission
    assert (limits.away, admission.held, admission.gate.count) == (0, 0, 0)
    assert [b.gate.count for b in limits.bulkheads.values()] == [0]
