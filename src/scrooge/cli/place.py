"""Which database a command works on: the one in the settings, or the embedded one for as long as it runs."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, structs

from scrooge.errors import DatabaseUnavailable, SettingsError
from scrooge.postgres import embedded
from scrooge.postgres.migrate import MigrationError, Schema, SchemaIsNewer, migrate
from scrooge.settings import Settings
from scrooge.storage.migrate import CORE
from scrooge.vault.settings import VaultSettings

NETLOC = re.compile(r"[/?#]")
HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(:[0-9]{1,5})?")  # PostgreSQL takes several


S = TypeVar("S", Settings, VaultSettings)


class Owner(Struct, frozen=True):
    """Whose database it is, the core's or the vault's, as an operator is told about it."""

    schema: Schema
    data_dir: str  # the setting
    called: str
    migrate: str  # the command


OURS = Owner(CORE, "SCROOGE_DATA_DIR", "database", "scrooge migrate")


@contextmanager
def place(settings: S, *, migrated: bool = True, existing: bool = False, of: Owner = OURS) -> Iterator[S]:
    """Settings with a database URL. The embedded server is started or joined, and brought up to date.

    `existing` is for commands that look: a database that they made themselves would tell them nothing.
    Raises SettingsError, DatabaseUnavailable, EmbeddedError, MigrationError.
    """
    if settings.database_url is not None:
        with named(settings.database_url, of.schema.setting):
            yield settings
        return
    folder = settings.data_dir.expanduser()
    with usable(folder, of.data_dir):
        if existing and not has_database(folder):
            raise SettingsError(
                f"there is no {of.called} in {folder}: set {of.data_dir} to a directory that has one,"
                f" or {of.schema.setting} to a PostgreSQL"
            )
        server = embedded.start(folder)
    try:
        if migrated:
            asyncio.run(migrate(of.schema, server.url))
        yield structs.replace(settings, database_url=server.url, embedded=True)
    finally:
        server.stop()


@contextmanager
def named(url: str, setting: str = "SCROOGE_DATABASE_URL") -> Iterator[None]:
    """What goes wrong with the database names the setting and the host, and never the password."""
    # A password with a character that needs % ends up among the hosts, so what is wrong there is not quoted.
    parts = [HOST.fullmatch(part) for part in NETLOC.split(url.partition("://")[2], 1)[0].rpartition("@")[2].split(",")]
    if not all(parts):
        raise SettingsError(f"{setting} is not a URL like postgresql://user:password@host:5432/name")
    hosts = ", ".join(part["host"] for part in parts if part and part["host"])
    try:
        yield
    except DatabaseUnavailable as error:
        where = f" ({hosts})" if hosts else ""
        raise DatabaseUnavailable(f"{setting}{where}: {error.detail}") from error


@contextmanager
def usable(folder: Path, setting: str) -> Iterator[None]:
    """Raises SettingsError, naming the directory, where the system does not let us use it."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{setting}: {folder} cannot be used: {error.strerror or error}") from error


def has_database(folder: Path) -> bool:
    return (folder / "postgres" / "PG_VERSION").exists()


def url_of(settings: Settings | VaultSettings) -> str:
    assert settings.database_url is not None, "inside place() there is always a database"
    return settings.database_url


def require_schema(settings: Settings | VaultSettings, of: Owner = OURS) -> None:
    """Raises MigrationError when the database is behind. A newer one is fine: old and new run side by side."""
    try:
        behind = asyncio.run(migrate(of.schema, url_of(settings), check=True)).behind
    except SchemaIsNewer:
        return
    if behind:
        raise MigrationError(f"the {of.called}'s schema is behind ({', '.join(behind)}): run `{of.migrate}`")
