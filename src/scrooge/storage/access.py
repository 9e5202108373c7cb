"""Merchants, callers and API keys, as the command line makes and revokes them."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from scrooge.errors import SettingsError
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import public
from scrooge.storage.directory import SCOPES, note

Q = load(Path(__file__).with_name("directory.sql"))


async def create_merchant(db: Database, name: str) -> str:
    """Gets or makes."""
    await run(db, Q["add_merchant"], hex_of(new_id("mer", 0)), name)
    row = await run(db, Q["merchant"], name)
    return public("mer", row["id"]) or ""


async def create_caller(db: Database, merchant: str, name: str) -> str:
    """Gets or makes."""
    await run(db, Q["add_caller"], hex_of(new_id("clr", 0)), hex_of(merchant), name)
    row = await run(db, Q["caller"], hex_of(merchant), name)
    return public("clr", row["id"]) or ""


async def create_key(db: Database, caller: str, scopes: list[str], livemode: bool) -> tuple[str, str]:
    """(id, the key itself, which is shown now and never again). Raises SettingsError for unknown scopes."""
    unknown = set(scopes) - SCOPES
    if unknown or not scopes:
        raise SettingsError(f"scopes are {', '.join(sorted(SCOPES))}; got {', '.join(sorted(unknown)) or 'none'}")
    secret = f"sk_{'live' if livemode else 'test'}_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(secret.encode()).digest()
    key_id = new_id("key", 0)
    hint = f"{secret[:8]}...{secret[-4:]}"
    async with db.transaction() as connection:
        await run(connection, Q["add_key"], hex_of(key_id), hex_of(caller), digest, hint, scopes, livemode)
        await note(connection, "cli", "api_key_created", key_id, {"scopes": scopes})
    return key_id, secret


async def list_keys(db: Database) -> list[dict[str, Any]]:
    return [{**dict(r), "id": public("key", r["id"])} for r in await run(db, Q["keys"])]


async def revoke_key(db: Database, key_id: str) -> bool:
    """Takes effect everywhere within a second. False when there is no such key."""
    async with db.transaction() as connection:
        row = await run(connection, Q["revoke_key"], hex_of(key_id))
        if row is not None:
            await note(connection, "cli", "api_key_revoked", key_id, {})
    return row is not None


async def find_merchant(db: Database, name: str) -> str | None:
    row = await run(db, Q["merchant"], name)
    return None if row is None else public("mer", row["id"])


async def find_caller(db: Database, merchant: str, name: str) -> str | None:
    row = await run(db, Q["caller"], hex_of(merchant), name)
    return None if row is None else public("clr", row["id"])
