"""The vault that these tests share, and a PSP that writes down what reaches it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiohttp import web

from scrooge.postgres.database import connect
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.custodians import ceremony
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.start import make_vault
from scrooge.vault.schema import ROLE, migrate_vault
from tests.conftest import drop_database, free_port, make_database
from tests.vault.house import House, house


class Psp:
    """Answers every request with what a test says, and keeps what it was sent."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: list[tuple[str, dict[str, str], str]] = []
        self.reply: Any = {"id": "pi_1", "object": "payment_intent"}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.behavior = "answer"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {k.lower(): v for k, v in request.headers.items()}
        self.seen.append((f"{request.method} {request.path_qs}", headers, (await request.read()).decode()))
        if self.behavior == "drop":
            assert request.transport is not None
            request.transport.close()
        elif self.behavior == "sleep":
            await asyncio.sleep(30)
        if isinstance(self.reply, bytes):
            return web.Response(body=self.reply, status=self.status, headers=self.headers)
        return web.json_response(self.reply, status=self.status, headers=self.headers)


@pytest.fixture(scope="session")
async def psp_server() -> AsyncIterator[Psp]:
    psp = Psp()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", psp.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", psp.port).start()
    yield psp
    await runner.cleanup()


@pytest.fixture
def psp(psp_server: Psp) -> Psp:
    """As nobody had used it."""
    psp_server.seen.clear()
    psp_server.reply, psp_server.status, psp_server.headers = {"id": "pi_1", "object": "payment_intent"}, 200, {}
    psp_server.behavior = "answer"
    return psp_server


@pytest.fixture(scope="session")
async def vault(
    server_url: str, psp_server: Psp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:  # fmt: skip
    async with house(server_url, tmp_path_factory.mktemp("vault"), psp_server.url) as h:
        yield h


@pytest.fixture(scope="session")
async def live_vault(
    server_url: str, psp_server: Psp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:  # fmt: skip
    """One that may keep live cards: two custodians brought its key-encryption key."""
    async with house(server_url, tmp_path_factory.mktemp("live"), psp_server.url, SCROOGE_VAULT_KEK="shares:") as h:
        held = ceremony(("alice", "bob"), 2)
        db = await connect(h.database_url, size=1, role=ROLE)
        assert await make_vault(db, held.new, Periods(), Operator("operator:test", "cli"))
        await db.close()
        for name, share in held.texts:
            given = {"custodian": name, "share": share, "accepts": True}
            assert (await h.ask("POST", "/v1/unseal", given))[0] == 200
        yield h


# --- databases of vaults that do not run ---


@pytest.fixture(scope="session")
async def vault_template(server_url: str) -> AsyncIterator[str]:
    url = await make_database(server_url)
    await migrate_vault(url)
    yield url
    await drop_database(server_url, url)


@pytest.fixture
async def fresh_vault_url(server_url: str, vault_template: str) -> AsyncIterator[str]:
    """For one test alone: to change its tables, to count in."""
    url = await make_database(server_url, urlsplit(vault_template).path[1:])
    yield url
    await drop_database(server_url, url)


@pytest.fixture(scope="session")
async def emptied_vault(server_url: str, vault_template: str) -> AsyncIterator[str]:
    url = await make_database(server_url, urlsplit(vault_template).path[1:])
    yield url
    await drop_database(server_url, url)


@pytest.fixture
async def keyless_vault_url(emptied_vault: str) -> str:
    """Without a key or a card; what is on record stays, for nothing can change that."""
    connection = await asyncpg.connect(emptied_vault)
    await connection.execute("TRUNCATE key_encryption_keys, key_versions, vault_keys CASCADE; TRUNCATE cards CASCADE")
    await connection.close()
    return emptied_vault
