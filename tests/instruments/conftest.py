"""What the tests of instruments share: a Scrooge in this process on a database of its own, a played vault, the sandbox."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.conftest import drop_database, make_database
from tests.played_vault import PlayedVault, played_vault

from scrooge.app import open_scrooge
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import new_id
from scrooge.settings import Settings
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.directory import ConnectorAccount, Principal


@pytest.fixture
async def played() -> AsyncIterator[PlayedVault]:
    async with played_vault() as played:
        yield played


KEPT = ("instruments", "credentials", "network_tokens", "errands", "inbox", "cursors", "breaks", "payments", "attempts",
        "connector_accounts", "mandates")  # fmt: skip


@pytest.fixture(scope="module")
async def module_database_url(server_url: str, template_url: str) -> AsyncIterator[str]:
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    yield url
    await drop_database(server_url, url)


@pytest.fixture
async def empty_database_url(module_database_url: str) -> str:
    """Nothing of earlier tests is in it but their merchants."""
    connection = await asyncpg.connect(module_database_url)
    await connection.execute(f"TRUNCATE {', '.join(KEPT)} CASCADE")
    await connection.close()
    return module_database_url


@pytest.fixture
def settings(empty_database_url: str, played: PlayedVault, tmp_path: Path) -> Settings:
    return Settings(
        database_url=empty_database_url, data_dir=tmp_path, vault_url=played.url, service_key=played.core_seed,
        vault_public_key=played.us.public,
    )  # fmt: skip


@pytest.fixture
async def s(settings: Settings) -> AsyncIterator[Scrooge]:
    async with open_scrooge(settings) as s:
        yield s


@pytest.fixture
async def who(s: Scrooge) -> Principal:
    name = f"tests-{uuid.uuid4().hex}"
    merchant = await create_merchant(s.db, name)
    caller = await create_caller(s.db, merchant, "checkout")
    return Principal(new_id("key", 0), merchant, name, caller, "checkout", frozenset({"*"}), False)


async def opened(s: Scrooge, who: Principal, connector: str, sandbox_url: str) -> ConnectorAccount:
    """A contract at a PSP of the sandbox."""
    key = f"sk_test_{uuid.uuid4().hex}"
    account = await s.directory.add_account(
        who.merchant, connector, connector, f"Tests{uuid.uuid4().hex[:8]}", False, {"api_key": key},
        f"{sandbox_url}/{connector}", "tests",
    )  # fmt: skip
    await s.directory.refresh()
    return account


@pytest.fixture
async def stripe(s: Scrooge, who: Principal, sandbox_url: str) -> ConnectorAccount:
    return await opened(s, who, "stripe", sandbox_url)


@pytest.fixture
async def adyen(s: Scrooge, who: Principal, sandbox_url: str) -> ConnectorAccount:
    return await opened(s, who, "adyen", sandbox_url)


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()
