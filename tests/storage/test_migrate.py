"""Migrations on a real server: applied once, by whoever may, and never half."""

import asyncio
import re
import shutil
import tempfile
import uuid
from pathlib import Path

import asyncpg
import pytest

from scrooge.errors import DatabaseUnavailable, SettingsError
from scrooge.postgres import embedded
from scrooge.postgres import migrate as migrations
from scrooge.postgres.migrate import MigrationError, SchemaIsNewer
from scrooge.storage.migrate import CORE, migrate


def aimed(url: str, database: str, user: str | None = None) -> str:
    """The same server, another database, perhaps another user."""
    found = re.fullmatch(r"(\w+://)(?:([^@/]*)@)?([^/?]*)(?:/[^?]*)?(\?.*)?", url)
    scheme, who, where, query = found.groups()
    return f"{scheme}{user or who or ''}@{where}/{database}{query or ''}"


@pytest.fixture
async def fresh(server_url):
    """Makes databases and login roles; takes them away again."""
    admin = await asyncpg.connect(server_url)
    made: list[str] = []
    people: list[str] = []

    async def make(owner: str | None = None, rights: str = "") -> str:
        name = f"migrate_{uuid.uuid4().hex[:12]}"
        if owner is not None:
            owner = f"{owner}_{uuid.uuid4().hex[:8]}"
            people.append(owner)
            await admin.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'x' {rights}")
        await admin.execute(f"CREATE DATABASE {name} {f'OWNER {owner}' if owner else ''}")
        made.append(name)
        return aimed(server_url, name, f"{owner}:x" if owner else None)

    yield make
    for name in made:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for owner in people:
        await admin.execute(f"DROP OWNED BY {owner}")
        await admin.execute(f"DROP ROLE {owner}")
    await admin.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (n integer);")
    return tmp_path


async def query(url: str, sql: str):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_the_schema_is_applied_once_and_belongs_to_the_owner_role(fresh):
    url = await fresh()
    names = [m.name for m in migrations.migrations_in(CORE.folder)]
    assert (await migrate(url, check=True)).behind == names
    assert (await migrate(url)).applied == names
    assert await migrate(url) == await migrate(url, check=True) == migrations.Migrated([], [])
    strangers = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner <> $$"
    assert await query(url, f"{strangers}scrooge_owner$$") == 0
    assert await query(url, "SELECT has_table_privilege('scrooge_app', 'schema_migrations', 'SELECT')")
    assert not await query(url, "SELECT has_table_privilege('scrooge_app', 'schema_migrations', 'INSERT')")


async def test_a_database_owner_who_may_create_roles_needs_no_administrator():
    """On a server of its own, where nobody has made the roles before."""
    place = tempfile.mkdtemp(prefix="scrooge-migrate-")
    server = await asyncio.to_thread(embedded.start, Path(place))
    try:
        await query(server.url, "CREATE ROLE maker LOGIN CREATEROLE")
        await query(server.url, "CREATE DATABASE shop OWNER maker")
        url = aimed(server.url, "shop", "maker")
        assert (await migrate(url)).applied
        for role in CORE.roles:  # What serving with the same login needs.
            assert await query(url, f"SET ROLE {role}") is None
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(place)


async def test_without_the_rights_it_prints_the_sql_that_an_administrator_runs(fresh, server_url):
    await migrate(await fresh())  # So that the roles exist on this server.
    url = await fresh("plain")
    with pytest.raises(MigrationError, match="may not prepare the database") as refusal:
        await migrate(url)
    statements = re.findall(r"^  (.*;)$", str(refusal.value), re.MULTILINE)
    assert any(s.startswith("GRANT scrooge_owner TO plain_") for s in statements)
    database = re.search(r"/(migrate_\w+)", url)[1]
    admin = await asyncpg.connect(aimed(server_url, database))
    try:
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()
    assert (await migrate(url)).applied


async def test_two_at_once_apply_each_migration_once(fresh, folder):
    url = await fresh()
    both = await asyncio.gather(migrate(url, folder=folder), migrate(url, folder=folder))
    assert sorted(m.applied for m in both) == [[], ["0001_one"]]


async def test_a_file_changed_after_it_ran_is_named(fresh, folder):
    url = await fresh()
    await migrate(url, folder=folder)
    (folder / "0001_one.sql").write_text("CREATE TABLE one (n bigint);")
    for check in (True, False):
        with pytest.raises(MigrationError, match=r"0001_one\.sql was changed after it ran"):
            await migrate(url, folder=folder, check=check)


async def test_a_migration_that_fails_leaves_nothing_of_itself(fresh, folder):
    url = await fresh()
    (folder / "0002_two.sql").write_text("CREATE TABLE two (n integer); SELECT 1/0;")
    with pytest.raises(MigrationError, match="0002_two failed and was undone: division by zero"):
        await migrate(url, folder=folder)
    assert await query(url, "SELECT to_regclass('two') IS NULL AND to_regclass('one') IS NOT NULL")
    (folder / "0002_two.sql").write_text("CREATE TABLE two (n integer);")
    assert (await migrate(url, folder=folder)).applied == ["0002_two"]


async def test_a_newer_database_is_refused_and_told_apart_from_a_damaged_one(fresh, folder):
    url = await fresh()
    later = folder / "0002_two.sql"
    later.write_text("CREATE TABLE two (n integer);")
    await migrate(url, folder=folder)
    later.unlink()
    with pytest.raises(SchemaIsNewer, match="0002_two"):
        await migrate(url, folder=folder)


def test_gaps_and_odd_names_among_the_files_are_refused(folder):
    (folder / "0003_three.sql").write_text("")
    with pytest.raises(MigrationError, match="migration 0002 is missing before 0003_three"):
        migrations.migrations_in(folder)
    (folder / "0003_three.sql").rename(folder / "two.sql")
    with pytest.raises(MigrationError, match=r"two\.sql is not named like"):
        migrations.migrations_in(folder)


def test_a_hole_in_the_record_is_refused(folder):
    (folder / "0002_two.sql").write_text("")
    known = migrations.migrations_in(folder)
    with pytest.raises(MigrationError, match="later migrations but not 0001_one"):
        migrations.missing(known, {2: ("0002_two", known[1].checksum)})


async def test_traffic_that_holds_the_locks_is_waited_for_in_short_tries(fresh, folder, monkeypatch):
    url = await fresh()
    await migrate(url, folder=folder)
    (folder / "0002_two.sql").write_text("ALTER TABLE one ADD COLUMN m integer;")
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "200ms")
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.05)
    traffic = await asyncpg.connect(url)
    try:
        transaction = traffic.transaction()
        await transaction.start()
        await traffic.execute("SELECT * FROM one")
        waiting = asyncio.create_task(migrate(url, folder=folder))
        await asyncio.sleep(0.6)
        assert not waiting.done()
        await transaction.rollback()
        assert (await waiting).applied == ["0002_two"]

        monkeypatch.setattr(migrations, "TRIES", 2)
        (folder / "0003_three.sql").write_text("ALTER TABLE one ADD COLUMN o integer;")
        async with traffic.transaction():
            await traffic.execute("SELECT * FROM one")
            with pytest.raises(MigrationError, match="got no lock in 2 tries"):
                await migrate(url, folder=folder)
    finally:
        await traffic.close()


@pytest.mark.parametrize("check", [True, False])
async def test_a_database_that_cannot_be_reached_is_said_so(check):
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await migrate("postgresql://nobody@127.0.0.1:1/none", check=check)
    with pytest.raises(SettingsError, match="SCROOGE_DATABASE_URL"):
        await migrate("postgresql://h:notaport/x", check=check)
