"""The core's schema, brought up to date."""

from pathlib import Path

from msgspec import structs

from scrooge.postgres import migrate as engine
from scrooge.postgres.migrate import Migrated, Schema

# app serves traffic, reader looks.
CORE = Schema(
    Path(__file__).parent / "migrations", "scrooge_owner", ("scrooge_app", "scrooge_reader"), "SCROOGE_DATABASE_URL"
)


async def migrate(url: str, *, check: bool = False, folder: Path = CORE.folder) -> Migrated:
    """Applies what is missing, or with `check` only says what that is.

    Raises MigrationError, SettingsError for a URL that is none, DatabaseUnavailable.
    """
    return await engine.migrate(structs.replace(CORE, folder=folder), url, check=check)
