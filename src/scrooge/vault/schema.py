"""The vault's schema: a database and roles of its own, no table shared with the core."""

from pathlib import Path

from scrooge.postgres.migrate import Migrated, Schema, migrate

ROLE = "scrooge_vault"
VAULT = Schema(Path(__file__).parent / "migrations", "scrooge_vault_owner", (ROLE,), "SCROOGE_VAULT_DATABASE_URL")


async def migrate_vault(url: str, *, check: bool = False) -> Migrated:
    """Raises MigrationError, SettingsError, DatabaseUnavailable."""
    return await migrate(VAULT, url, check=check)
