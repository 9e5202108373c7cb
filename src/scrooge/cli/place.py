"""Which database a command works on: the one in the settings, or the embedded one for as long as it runs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from scrooge.settings import Settings
from scrooge.storage import embedded
from scrooge.storage.migrate import MigrationError, SchemaIsNewer, migrate


@contextmanager
def place(settings: Settings, *, migrated: bool = True) -> Iterator[Settings]:
    """Settings with a database URL. The embedded server is started or joined, and brought up to date.

    Raises EmbeddedError, MigrationError.
    """
    if settings.database_url is not None:
        yield settings
        return
    server = embedded.start(settings.data_dir)
    try:
        if migrated:
            asyncio.run(migrate(server.url))
        yield structs.replace(settings, database_url=server.url, embedded=True)
    finally:
        server.stop()


def url_of(settings: Settings) -> str:
    assert settings.database_url is not None, "inside place() there is always a database"
    return settings.database_url


def require_schema(settings: Settings) -> None:
    """Raises MigrationError when the database is behind. A newer one is fine: old and new run side by side."""
    try:
        behind = asyncio.run(migrate(url_of(settings), check=True)).behind
    except SchemaIsNewer:
        return
    if behind:
        raise MigrationError(f"the database schema is behind ({', '.join(behind)}): run `scrooge migrate`")
