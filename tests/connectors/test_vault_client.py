"""The core asks the vault: what is not signed by it, for this very request, is not believed."""

import aiohttp
import pytest
from msgspec import structs

from scrooge.connectors.client import client
from scrooge.connectors.vault_client import VaultNotReached, VaultSilent, ask_vault, vault_of
from scrooge.errors import SettingsError
from scrooge.service import identity, new_seed
from scrooge.settings import Settings
from tests.conftest import free_port
from tests.played_vault import PlayedVault, played_vault

CARD = {"id": "ins_1", "last4": "4242"}


@pytest.fixture
async def http():
    async with client() as http:
        yield http


@pytest.fixture
async def played():
    async with played_vault() as played:
        played.cards["ins_1"] = CARD
        yield played


async def test_an_answer_signed_to_this_request_is_believed(http: aiohttp.ClientSession, played: PlayedVault):
    reply = await ask_vault(http, played.vault, "GET", "/v1/cards/ins_1", timeout=5)
    assert reply.status == 200
    assert b"4242" in reply.body


async def test_a_refusal_is_believed_as_well(http: aiohttp.ClientSession, played: PlayedVault):
    assert (await ask_vault(http, played.vault, "GET", "/v1/cards/ins_2", timeout=5)).status == 404


async def test_an_answer_signed_by_somebody_else_is_not_believed(http: aiohttp.ClientSession, played: PlayedVault):
    played.forged = True
    with pytest.raises(VaultSilent, match="not signed"):
        await ask_vault(http, played.vault, "GET", "/v1/cards/ins_1", timeout=5)


async def test_who_the_vault_does_not_know_gets_an_answer_that_nobody_believes(
    http: aiohttp.ClientSession, played: PlayedVault
):
    stranger = structs.replace(played.vault, identity=identity(new_seed(), "TEST"))
    with pytest.raises(VaultSilent):
        await ask_vault(http, stranger, "GET", "/v1/cards/ins_1", timeout=5)
    assert played.asked == []


async def test_no_answer_in_time_is_no_answer(http: aiohttp.ClientSession, played: PlayedVault):
    played.silent = True
    with pytest.raises(VaultSilent, match="in time") as caught:
        await ask_vault(http, played.vault, "GET", "/v1/cards/ins_1", timeout=0.2)
    assert not isinstance(caught.value, VaultNotReached)


async def test_a_vault_that_cannot_be_connected_to_was_sent_nothing(http: aiohttp.ClientSession, played: PlayedVault):
    gone = structs.replace(played.vault, url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(VaultNotReached):
        await ask_vault(http, gone, "GET", "/v1/cards/ins_1", timeout=5)


def test_without_settings_there_is_no_vault():
    assert vault_of(Settings()) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"vault_public_key": None}, "SCROOGE_VAULT_PUBLIC_KEY"),
        ({"service_key": None}, "SCROOGE_SERVICE_KEY"),
        ({"service_key": "short"}, "SCROOGE_SERVICE_KEY"),
        ({"vault_url": "http://vault.example"}, "SCROOGE_VAULT_URL"),
        ({"vault_url": "ftp://127.0.0.1"}, "SCROOGE_VAULT_URL"),
    ],
)
def test_settings_that_do_not_belong_together_name_themselves(changed: dict[str, str | None], named: str):
    whole = {"vault_url": "https://vault.example", "vault_public_key": identity(new_seed(), "T").public,
             "service_key": new_seed()}  # fmt: skip
    assert vault_of(Settings(**whole)) is not None
    with pytest.raises(SettingsError, match=named):
        vault_of(Settings(**{**whole, **changed}))
