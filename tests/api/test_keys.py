"""API keys: who may not come in any more."""

import uuid

import pytest

from scrooge.api.app import create_api
from scrooge.app import open_scrooge
from scrooge.settings import Settings
from scrooge.storage import directory
from scrooge.storage.access import create_caller, create_key, create_merchant, revoke_key
from tests.api.asgi import Api, asked


async def test_a_revoked_key_opens_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(directory, "FRESH_SECONDS", 0.0)
    async with open_scrooge(Settings(database_url=database_url, database_pool=4)) as s:
        caller = await create_caller(s.db, await create_merchant(s.db, f"m-{uuid.uuid4().hex}"), "checkout")
        key_id, key = await create_key(s.db, caller, ["*"], False)
        api = Api(create_api(s), key, s)
        assert (await asked(api, "GET", "/v1/payments")).status == 200
        assert await revoke_key(s.db, key_id)
        got = await asked(api, "GET", "/v1/payments")
        assert (got.status, got.document["code"]) == (401, "unauthenticated")
