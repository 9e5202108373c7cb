"""The API within this process, and mandates of its merchant that nobody had to pay for first."""

import json
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from msgspec import Struct

from scrooge.domain.mandate import Mandate, Revoked, Terms, Use
from scrooge.ids import new_id
from scrooge.storage import mandates
from scrooge.storage.directory import Principal
from tests.api.asgi import Api, Got, asked, opened


class Desk(Struct, frozen=True):
    """What a caller does with batches."""

    api: Api
    whose: Principal

    async def mandates(self, count: int = 1, **terms: Any) -> list[str]:
        made = [
            Mandate(
                id=new_id("man", n % 1024), merchant=self.whose.merchant, livemode=False, caller=self.whose.caller,
                customer=f"payer-{n}", instrument=new_id("ins", 0), use=Use.RECURRING, terms=Terms(**terms),
            )
            for n in range(count)
        ]  # fmt: skip
        await mandates.write(self.api.s.db, made)
        return [m.id for m in made]

    async def revoke(self, mandate: str) -> None:
        found = (await mandates.read_many(self.api.s.db, [mandate]))[mandate]
        await mandates.revoke(self.api.s.db, [found], Revoked("asked", "merchant"))

    async def ask(self, method: str, path: str, *parts: bytes, **more: Any) -> Got:
        more.setdefault("idempotency_key", uuid.uuid4().hex)
        return await asked(self.api, method, path, parts or (b"",), **more)

    async def batch(self, **body: Any) -> dict[str, Any]:
        got = await self.ask("POST", "/v1/batches", json.dumps({"name": "renewals"} | body).encode())
        assert got.status == 201, got.content
        return got.document

    async def put(self, batch: str, *parts: bytes, place: str = "", **more: Any) -> Got:
        return await self.ask("PUT", f"/v1/batches/{batch}/input{place}", *parts, **more)

    async def read(self, batch: str) -> dict[str, Any]:
        return (await self.ask("GET", f"/v1/batches/{batch}")).document

    async def lines(self, batch: str, what: str, after: int = 0) -> list[dict[str, Any]]:
        got = await self.ask("GET", f"/v1/batches/{batch}/{what}?after={after}")
        assert got.status == 200, got.content
        assert got.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in got.content.splitlines()]

    async def wrong(self, batch: str) -> dict[int, str]:
        """The rule that each wrong line broke."""
        return {found["line"]: found["error"]["rule"] for found in await self.lines(batch, "errors")}


def line(mandate: str, reference: str, value: str = "12.99", currency: str = "EUR", **more: Any) -> bytes:
    body = {"custom_id": f"c:{reference}", "reference": reference, "amount": {"value": value, "currency": currency},
            "mandate": mandate, **more}  # fmt: skip
    return json.dumps(body).encode() + b"\n"


def file_of(mandates: Iterable[str], count: int, word: str = "sub") -> bytes:
    those = list(mandates)
    return b"".join(line(those[n % len(those)], f"{word}_{n}:2026-12") for n in range(count))


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with opened(database_url, f"batches-{uuid.uuid4().hex[:8]}") as api:
        whose = await api.s.directory.principal(api.key)
        assert whose is not None
        yield Desk(api, whose)
