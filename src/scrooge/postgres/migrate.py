"""Brings a database's schema up to date on a live system: forward only, a short transaction a file.

Migrations are `migrations/NNNN_name.sql`. Each is kept with its checksum, so that a file edited
after it ran is found, and every table belongs to the schema's owner role, whoever runs this.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable, SettingsError
from scrooge.postgres.primary import Primary

HERE = Path(__file__).parent
FILE_NAME = re.compile(r"(?P<version>[0-9]{4})_[a-z0-9_]+\.sql")
LOCK = 0x5C00_6E00  # "scrooge": one migration at a time in a database
WAIT_FOR_OTHERS = "60s"
LOCK_TIMEOUT = "3s"  # Traffic queues behind a lock we wait for, so we give up early and come back.
TRIES = 20
PAUSE_SECONDS = 1.0


class Schema(Struct, frozen=True):
    """The migrations of one database, who owns what they make, and who uses it. `setting` holds its URL."""

    folder: Path
    owner: str
    users: tuple[str, ...]
    setting: str

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.owner, *self.users)

    def grants(self) -> Iterator[tuple[str, str]]:
        """(role, privilege on the database's schema public)."""
        yield from ((role, "USAGE") for role in self.roles)
        yield self.owner, "CREATE"

    def roles_sql(self) -> str:
        named = {"roles": ", ".join(f"'{r}'" for r in self.roles), "owner": self.owner, "users": ", ".join(self.users)}
        return (HERE / "roles.sql").read_text().format_map(named)


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says what to do."""


class SchemaIsNewer(MigrationError):
    """A later release migrated this database: safe to serve on, but not ours to migrate."""


class Migration(Struct, frozen=True):
    """One file; `checksum` is the SHA-256 of its bytes in hexadecimal."""

    version: int
    name: str
    sql: str
    checksum: str


class Migrated(Struct, frozen=True):
    """File names without `.sql`: what was just applied, and what is still missing."""

    applied: list[str]
    behind: list[str]


def migrations_in(folder: Path) -> list[Migration]:
    """The migrations of a folder in order. Raises MigrationError for a gap or an odd name."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named like 0001_name.sql")
        raw = path.read_bytes()
        checksum = hashlib.sha256(raw).hexdigest()
        found.append(Migration(int(match["version"]), path.stem, raw.decode(), checksum))
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(f"migration {expected:04d} is missing before {migration.name}")
    return found


def missing(known: Sequence[Migration], recorded: dict[int, tuple[str, str]]) -> list[Migration]:
    """What is still to be applied. `recorded` maps a version to the name and checksum it ran with.

    Raises MigrationError for a changed file or a gap, SchemaIsNewer for a version we do not know.
    """
    for migration in known[: max(recorded, default=0)]:
        if migration.version not in recorded:
            raise MigrationError(f"the database has later migrations but not {migration.name}: restore a backup")
        name, checksum = recorded[migration.version]
        if checksum != migration.checksum:
            raise MigrationError(
                f"{migration.name}.sql was changed after it ran (as {name}): put the old file back"
                " and write a new migration"
            )
    newer = sorted(version for version in recorded if version > len(known))
    if newer:
        names = ", ".join(recorded[version][0] for version in newer)
        raise SchemaIsNewer(f"a newer Scrooge migrated this database ({names}): install that one")
    return list(known[len(recorded) :])


async def migrate(schema: Schema, url: str, *, check: bool = False) -> Migrated:
    """Applies what is missing, or with `check` only says what that is.

    Raises MigrationError, SettingsError for a URL that is none, DatabaseUnavailable.
    """
    known = migrations_in(schema.folder)
    connection = await connect(url, schema.setting)
    try:
        if check:
            behind = missing(known, await recorded_in(connection))
            return Migrated([], [m.name for m in behind])
        await take_turn(connection)
        await prepare_roles(connection, schema)
        await become_owner(connection, schema)
        await prepare_table(connection, schema)
        applied = []
        for migration in missing(known, await recorded_in(connection)):
            await apply(connection, migration)
            applied.append(migration.name)
        return Migrated(applied, [])
    finally:
        await connection.close(timeout=5)


async def connect(url: str, setting: str = "SCROOGE_DATABASE_URL") -> asyncpg.Connection:
    """A connection of our own, under the login role. Raises SettingsError, DatabaseUnavailable."""
    settings = {"application_name": "scrooge migrate", "search_path": "public", "timezone": "UTC"}
    try:
        return await Primary(url).connect(url, timeout=10, server_settings=settings)
    except (ValueError, asyncpg.InterfaceError) as error:
        raise SettingsError(f"{setting} is not usable: {error}") from None
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        said = str(error) or "no answer"
        raise DatabaseUnavailable(f"the database cannot be reached: {said}") from error


async def take_turn(connection: asyncpg.Connection) -> None:
    """Waits until nobody else migrates this database; the turn ends with the connection."""
    await connection.execute(f"SET lock_timeout = '{WAIT_FOR_OTHERS}'")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    except asyncpg.LockNotAvailableError:
        raise MigrationError(
            f"another migration has been running for {WAIT_FOR_OTHERS}: try again when it is done"
        ) from None


async def prepare_roles(connection: asyncpg.Connection, schema: Schema) -> None:
    """Roles and grants, unless an administrator made them; a MigrationError has the SQL."""
    for left in reversed(range(TRIES)):
        lacking = await lacking_statements(connection, schema)
        if not lacking:
            return
        try:
            async with connection.transaction():
                await connection.execute(schema.roles_sql())
            return
        except asyncpg.InsufficientPrivilegeError as error:
            raise needs_administrator(error, lacking) from error
        except (asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            # Roles belong to the server: another of its databases is migrated at this moment.
            if not left:
                raise
            await asyncio.sleep(PAUSE_SECONDS / 10)


async def become_owner(connection: asyncpg.Connection, schema: Schema) -> None:
    """From here on everything we make belongs to the owner role."""
    try:
        await connection.execute(f"SET ROLE {schema.owner}")
    except asyncpg.InsufficientPrivilegeError:
        # PostgreSQL 16 gives the maker of a role its administration, not its use.
        try:
            await connection.execute(f"GRANT {', '.join(schema.roles)} TO CURRENT_USER")
            await connection.execute(f"SET ROLE {schema.owner}")
        except asyncpg.InsufficientPrivilegeError as error:
            raise needs_administrator(error, await lacking_statements(connection, schema)) from error


def needs_administrator(error: Exception, statements: list[str]) -> MigrationError:
    sql = "\n".join(f"  {statement};" for statement in statements)
    return MigrationError(
        f"this database role may not prepare the database ({error}).\n"
        f"Let an administrator run this in the same database, then try again:\n{sql}"
    )


async def lacking_statements(connection: asyncpg.Connection, schema: Schema) -> list[str]:
    """The SQL that gives roles and grants what migrations need; empty when all is there."""
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", schema.roles)
    roles = {row["rolname"] for row in rows}
    user = await connection.fetchval("SELECT quote_ident(session_user)")
    lacking = [f"CREATE ROLE {role} NOLOGIN" for role in schema.roles if role not in roles]
    # SET, which PostgreSQL 16 tells apart from MEMBER, is what SET ROLE needs.
    kind = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
    for role in schema.roles:
        usable = role in roles and await connection.fetchval(
            "SELECT pg_has_role(session_user, $1::name, $2)", role, kind
        )
        if not usable:
            lacking.append(f"GRANT {role} TO {user}")
    for role, privilege in schema.grants():
        granted = role in roles and await connection.fetchval(
            "SELECT has_schema_privilege($1::name, 'public', $2)", role, privilege
        )
        if not granted:
            lacking.append(f"GRANT {privilege} ON SCHEMA public TO {role}")
    return lacking


async def prepare_table(connection: asyncpg.Connection, schema: Schema) -> None:
    """The record of what ran; all who serve may read it, to tell whether they are behind."""
    if await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        return
    async with connection.transaction():
        await connection.execute(
            f"""
            CREATE TABLE schema_migrations (
                version     integer PRIMARY KEY CHECK (version > 0),
                name        text NOT NULL,
                checksum    text NOT NULL CHECK (checksum ~ '^[0-9a-f]{{64}}$'),
                applied_at  timestamptz NOT NULL DEFAULT now()
            );
            GRANT SELECT ON schema_migrations TO {", ".join(schema.users)};
            """
        )


async def recorded_in(connection: asyncpg.Connection) -> dict[int, tuple[str, str]]:
    """Version to the name and checksum it was applied with."""
    if not await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        return {}
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations")
    return {r["version"]: (r["name"], r["checksum"]) for r in rows}


async def apply(connection: asyncpg.Connection, migration: Migration) -> None:
    """One migration and its record in one transaction, again while traffic holds the locks."""
    for left in reversed(range(TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version, migration.name, migration.checksum,
                )  # fmt: skip
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not left:
                raise MigrationError(
                    f"{migration.name} got no lock in {TRIES} tries of {LOCK_TIMEOUT}: nothing was"
                    " changed; look for long transactions in pg_stat_activity and try again"
                ) from None
            await asyncio.sleep(PAUSE_SECONDS)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.name} failed and was undone: {error}") from error
