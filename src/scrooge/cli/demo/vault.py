"""The demo's card vault: the keys by which it and the core know each other, its merchant's key, and cards in it."""

from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.operator import operator_name
from scrooge.postgres.database import connect
from scrooge.sandbox.cards import TEST_CARDS
from scrooge.service import identity, new_seed
from scrooge.vault.schema import ROLE, migrate_vault

EXPIRY = {"exp_month": 12, "exp_year": 2034}


class Pair(Struct, frozen=True):
    """What each side's processes are given, and the other's are not."""

    core: dict[str, str]
    vault: dict[str, str]


def pair(vault_url: str, test_url: str, folder: Path, port: int, seeds: tuple[str, str]) -> Pair:
    core, own = seeds
    return Pair(
        {
            "SCROOGE_VAULT_URL": vault_url,
            "SCROOGE_VAULT_PUBLIC_KEY": identity(own, "SCROOGE_VAULT_SERVICE_KEY").public,
            "SCROOGE_SERVICE_KEY": core,
        },
        {
            "SCROOGE_VAULT_SERVICE_KEY": own,
            "SCROOGE_VAULT_CORE_KEYS": identity(core, "SCROOGE_SERVICE_KEY").public,
            "SCROOGE_VAULT_DATA_DIR": str(folder / "vault"),
            "SCROOGE_VAULT_PORT": str(port),
            "SCROOGE_VAULT_TEST_URLS": test_url,
        },
    )


def seeds(folder: Path, write: Any) -> tuple[str, str]:
    """Those of the last start, or new ones: (the core's, the vault's)."""
    path = folder / "service.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        made = new_seed(), new_seed()
        write(path, made)
        return made


async def open_key(database_url: str, merchant: str) -> str:
    """A vault key for the demo's merchant that may do everything a merchant can."""
    from scrooge.vault.vault import SCOPES, create_vault_key

    await migrate_vault(database_url)
    db = await connect(database_url, size=1, role=ROLE)
    try:
        return (await create_vault_key(db, merchant, "checkout", sorted(SCOPES), False, operator_name()))[1]
    finally:
        await db.close()


async def tokenize(http: aiohttp.ClientSession, vault_url: str, vault_key: str, kind: str, token: str) -> str:
    """The instrument of the test card that the sandbox's Stripe knows by a token."""
    number = next(c.number for c in TEST_CARDS if (c.connector, c.token) == ("stripe", token))
    body = {"type": "card", "customer": f"payer-{kind}", "card": {"number": number, **EXPIRY, "holder": "Demo Payer"}}
    headers = {
        "Authorization": f"Bearer {vault_key}", "Content-Type": "application/json", "Idempotency-Key": f"demo-{kind}",
    }  # fmt: skip
    async with http.post(f"{vault_url}/v1/instruments", data=msgspec.json.encode(body), headers=headers) as answer:
        answer.raise_for_status()
        return msgspec.json.decode(await answer.read())["id"]
