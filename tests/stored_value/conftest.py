"""What the tests of stored value share: a world whose callers open accounts, and the audit of its books."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from scrooge.storage.audit import audit
from scrooge.storage.findings import Report
from tests.world import World


def amount(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"value": value, "currency": currency}


class Wallets:
    """A caller that opens accounts of stored value and pays from them."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def open(self, loaded: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"reference": f"wallet-{uuid.uuid4().hex}", "customer": "user-1", "currency": "EUR",
                "purpose": "gift_card", **more}  # fmt: skip
        status, account = await self.world.post("/v1/stored-value-accounts", body)
        assert status == 201, account
        if loaded is not None:
            status, move = await self.load(account, loaded)
            assert status == 201, move
        return account

    async def load(self, account: dict[str, Any], value: str, **more: Any) -> tuple[int, dict[str, Any]]:
        to = {name: more.pop(name) for name in ("idempotency", "key") if name in more}
        body = {"amount": amount(value, account["currency"]), "reference": f"load-{uuid.uuid4().hex}", **more}
        return await self.world.post(f"/v1/stored-value-accounts/{account['id']}/loads", body, **to)

    async def balance(self, account: dict[str, Any]) -> tuple[str, str]:
        """(available, held)"""
        status, found = await self.world.get(f"/v1/stored-value-accounts/{account['id']}")
        assert status == 200, found
        return found["available"]["value"], found["held"]["value"]

    async def statement(self, account: dict[str, Any]) -> list[dict[str, Any]]:
        status, page = await self.world.get(f"/v1/stored-value-accounts/{account['id']}/statement?limit=100")
        assert status == 200, page
        return page["data"]

    async def pay(self, account: dict[str, Any], value: str, **more: Any) -> tuple[int, dict[str, Any]]:
        return await self.world.pay(value=value, instrument=account["instrument"], **more)

    async def audit(self) -> Report:
        return await audit(self.world.database_url, {})


@pytest.fixture
def wallets(world: World) -> Wallets:
    return Wallets(world)


@pytest.fixture
async def sql(world: World) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(world.database_url)
    yield connection
    await connection.close()
