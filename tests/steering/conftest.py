"""A merchant with accounts, its policies reached by the API in this process."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.api.asgi import Api, asked, opened

ACCOUNTS = {"stripe_eu": "stripe", "stripe_us": "stripe", "adyen_eu": "adyen"}
CREDENTIALS = {"stripe": {"api_key": "sk_test_1"}, "adyen": {"api_key": "AQE_1"}}


class Desk:
    """What a person with an API key does."""

    def __init__(self, api: Api, key: str | None = None) -> None:
        self.api, self.key = api, key or api.key

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        sent = [b"" if body is None else json.dumps(body).encode()]
        got = await asked(self.api, method, f"/v1/routing/{path}", sent, authorization=f"Bearer {self.key}")
        return got.status, got.document

    async def drafted(self, *accounts: str, name: str = "first", **more: Any) -> dict[str, Any]:
        document = {"name": name, "accounts": {a: {} for a in accounts or ACCOUNTS}, **more}
        status, made = await self.ask("POST", "policies", {"document": document})
        assert status in (200, 201), made
        return made

    async def activated(self, policy: dict[str, Any], expected: str | None = None) -> dict[str, Any]:
        path = f"policies/{policy['id']}/activate"
        status, made = await self.ask("POST", path, {"expect_active": expected})
        assert status == 200, made
        return made

    async def explained(self, value: str = "10.00", currency: str = "EUR", **more: Any) -> dict[str, Any]:
        facts = {k: more.pop(k) for k in ("brand", "country", "initiator") if k in more}
        payment = {"amount": {"value": value, "currency": currency}, **facts}
        status, found = await self.ask("POST", "explain", {"payment": payment, **more})
        assert status == 200, found
        return found


@pytest.fixture
async def desk(fresh_database_url: str) -> AsyncIterator[Desk]:
    async with opened(fresh_database_url) as api:
        for name, connector in ACCOUNTS.items():
            body = {"name": name, "connector": connector, "merchant_account": f"acct_{name}", "mode": "test",
                    "credentials": CREDENTIALS[connector]}  # fmt: skip
            made = await asked(api, "POST", "/v1/connector-accounts", [json.dumps(body).encode()])
            assert made.status == 201, made.document
        yield Desk(api)


async def key_of(desk: Desk, merchant: str, caller: str, scopes: list[str]) -> str:
    db = desk.api.s.db
    return (await create_key(db, await create_caller(db, await create_merchant(db, merchant), caller), scopes, False))[
        1
    ]
