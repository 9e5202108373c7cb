"""The same with a real vault, which fills cards into requests to the sandbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.vault.house import House, house

from scrooge.flows.scrooge import Scrooge
from scrooge.settings import Settings
from scrooge.storage.directory import Principal


@pytest.fixture(scope="module")
async def vault(server_url: str, sandbox_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house(server_url, tmp_path_factory.mktemp("vault"), sandbox_url) as h:
        yield h


@pytest.fixture
def settings(empty_database_url: str, vault: House, tmp_path: Path) -> Settings:
    own = {name.removeprefix("SCROOGE_").lower(): value for name, value in vault.core_env.items()}
    return Settings(database_url=empty_database_url, data_dir=tmp_path, **own)


@pytest.fixture
async def card(s: Scrooge, who: Principal, vault: House) -> str:
    """An instrument of user-1 in the vault."""
    key = await vault.new_key(who.merchant)
    body = {"type": "card", "customer": "user-1",
            "card": {"number": "4242424242424242", "exp_month": 3, "exp_year": 2034, "cvc": "737"}}  # fmt: skip
    status, made, _ = await vault.ask("POST", "/v1/instruments", body, key=key)
    assert status == 201, made
    return made["id"]
