"""An account whose PSP answers elsewhere now: followed at once, told to the audit, and never into the wild."""

import pytest
from cryptography.fernet import Fernet

from scrooge.connectors.registry import connectors
from scrooge.errors import BadUrl
from scrooge.storage.directory import ConnectorAccount, Directory
from scrooge.storage.sealing import Sealer


@pytest.fixture
def directory(world) -> Directory:
    return Directory(world.db, connectors(), Sealer([Fernet.generate_key().decode()], None), live_allowed=True)


async def added(directory: Directory, merchant: str, livemode: bool = False) -> ConnectorAccount:
    mode, url = ("live", None) if livemode else ("test", "http://127.0.0.1:1/stripe")
    secrets = {"api_key": f"sk_{mode}_key"}
    return await directory.add_account(merchant, mode, "stripe", "acct_2", livemode, secrets, url, "key:k")


async def test_it_is_asked_where_it_moved_to_with_the_credentials_it_had(world, directory):
    account = await added(directory, world.merchant)
    assert directory.wire(account).base_url == "http://127.0.0.1:1/stripe"
    moved = await directory.change_credentials(account, {}, "http://127.0.0.1:2/stripe", "key:k")
    wire = directory.wire(moved)
    assert (wire.base_url, dict(wire.credentials)) == ("http://127.0.0.1:2/stripe", {"api_key": "sk_test_key"})
    stays = await directory.change_credentials(moved, {"api_key": "sk_test_new"}, None, "key:k")
    assert stays.base_url == "http://127.0.0.1:2/stripe"
    async with world.db.connection() as connection:
        rows = await connection.fetch("SELECT action, detail FROM audit ORDER BY created_at, id")
    assert [row["action"] for row in rows][-2:] == [
        "connector_account_base_url_changed", "connector_account_credentials_changed",
    ]  # fmt: skip
    assert "127.0.0.1:2" in rows[-2]["detail"]


async def test_it_does_not_move_to_where_we_may_not_send(world, directory):
    account = await added(directory, world.merchant)
    with pytest.raises(BadUrl, match="https"):
        await directory.change_credentials(account, {}, "http://psp.example/stripe", "key:k")
    live = await added(directory, world.merchant, livemode=True)
    with pytest.raises(BadUrl, match="test mode only"):
        await directory.change_credentials(live, {}, "https://psp.example/stripe", "key:k")
