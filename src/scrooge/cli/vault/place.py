"""The vault's own database, for a command: the one in its settings, or its embedded one for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from scrooge.cli import place as any_place
from scrooge.cli.place import Owner, url_of
from scrooge.postgres.database import Database, connect
from scrooge.vault.schema import ROLE, VAULT
from scrooge.vault.settings import VaultSettings

THEIRS = Owner(VAULT, "SCROOGE_VAULT_DATA_DIR", "vault", "scrooge vault migrate")
T = TypeVar("T")


def place(
    settings: VaultSettings, *, migrated: bool = True, existing: bool = False
) -> AbstractContextManager[VaultSettings]:
    """As the core's. Raises SettingsError, DatabaseUnavailable, EmbeddedError, MigrationError."""
    return any_place.place(settings, migrated=migrated, existing=existing, of=THEIRS)


def require_schema(settings: VaultSettings) -> None:
    """Raises MigrationError when the database is behind."""
    any_place.require_schema(settings, THEIRS)


def on_database(settings: VaultSettings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def whole() -> T:
        db = await connect(url_of(settings), size=2, role=ROLE)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(whole())
