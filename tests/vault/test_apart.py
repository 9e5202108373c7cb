"""The vault is a room of its own: no table, role, module or setting that it shares with the core."""

import json
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

import scrooge.vault
from scrooge.errors import SettingsError
from scrooge.postgres.database import PLANNER, Query, load
from scrooge.storage.migrate import CORE
from scrooge.vault.schema import ROLE, VAULT
from scrooge.vault.settings import load as load_settings

FOLDER = Path(scrooge.vault.__file__).parent
FILES = sorted(p for p in FOLDER.rglob("*.sql") if p.parent.name != "migrations")
QUERIES = [(path.stem, query) for path in FILES for query in load(path).values()]
# What the process of the vault is made of, beside Python's own library.
DEPENDENCIES = {
    "Crypto", "aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "asyncpg", "attr", "cryptography", "frozenlist", "google", "idna",
    "iso4217", "jwt", "msgspec", "multidict", "prometheus_client", "propcache", "pyrage", "starlette", "structlog", "tink",
    "typing_extensions", "yarl",
    "_cffi_backend", "_openssl", "cython_runtime", "greenlet", "pygments", "rich",  # what those bring
}  # fmt: skip
NOT_OF_THE_VAULT = {"api", "app", "cli", "flows", "ledger", "routing", "sandbox", "storage", "webhooks", "workers"}


@pytest.fixture
async def connection(vault):
    connection = await asyncpg.connect(vault.database_url)
    yield connection
    await connection.close()


def loaded() -> set[str]:
    """The modules that the vault's application imports, in a process where nothing else does."""
    code = "import json, sys, scrooge.vault.app; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))


def test_the_vault_runs_none_of_the_cores_code_and_few_libraries():
    modules = loaded()
    ours = {m.split(".")[1] for m in modules if m.startswith("scrooge.")}
    assert not ours & NOT_OF_THE_VAULT
    others = {m.split(".")[0] for m in modules} - set(sys.stdlib_module_names) - {"scrooge", "__main__", "__mp_main__"}
    assert {m for m in others if not m.startswith("_cython")} <= DEPENDENCIES


def test_the_core_runs_none_of_the_vaults_code():
    """Nor does the command line that starts it, until it is asked for the vault."""
    code = "import json, sys, scrooge.app, scrooge.cli.main; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert not {"tink", "pyrage"} & {m.split(".")[0] for m in modules}
    assert not {"scrooge.vault.vault", "scrooge.vault.fills", "scrooge.vault.keyring"} & set(modules)


def test_they_share_no_role():
    assert not set(CORE.roles) & set(VAULT.roles)


async def test_the_cores_roles_may_do_nothing_in_the_vault(connection):
    rows = await connection.fetch(
        "SELECT grantee, table_name FROM information_schema.role_table_grants WHERE grantee = ANY($1)", list(CORE.roles)
    )
    assert rows == []


async def test_the_vaults_roles_may_do_nothing_in_the_core(database_url):
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT grantee, table_name FROM information_schema.role_table_grants WHERE grantee = ANY($1)",
        list(VAULT.roles),
    )
    await connection.close()
    assert rows == []


async def test_nobody_owns_the_vaults_tables_who_can_log_in(connection):
    rows = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tableowner"] for row in rows] == [VAULT.owner]
    assert not await connection.fetchval(
        "SELECT bool_or(rolcanlogin) FROM pg_roles WHERE rolname = ANY($1)", list(VAULT.roles)
    )


async def test_the_serving_role_deletes_no_card_and_no_record(connection):
    rows = await connection.fetch(
        "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = $1 AND privilege_type IN ('DELETE', 'TRUNCATE')",
        ROLE,
    )
    assert not {"cards", "audit", "audit_heads", "vault_keys"} & {row["table_name"] for row in rows}


def test_the_vault_refuses_the_cores_database():
    url = "postgresql://scrooge@db.example/scrooge"
    with pytest.raises(SettingsError, match="a database of its own"):
        load_settings({"SCROOGE_DATABASE_URL": url, "SCROOGE_VAULT_DATABASE_URL": url})


@pytest.mark.parametrize(("file", "query"), QUERIES, ids=lambda v: v.name if isinstance(v, Query) else v)
async def test_every_query_prepares_as_the_role_that_runs_it(vault, file: str, query: Query):
    connection = await asyncpg.connect(vault.database_url, server_settings={"role": ROLE, **PLANNER})
    try:
        await connection.prepare(query.sql)
    finally:
        await connection.close()


# Read whole on purpose: by operators, by the audit's verification, and when a key is destroyed.
WHOLE = {"status", "audit", "remembered"}
GROWING = re.compile(r"Seq Scan on (?:cards|audit|idempotency_keys|service_tokens)\b")
BUSY = [(file, query) for file, query in QUERIES if file not in WHOLE and query.name not in {"needed", "counted"}]


@pytest.mark.parametrize(("file", "query"), BUSY, ids=lambda v: v.name if isinstance(v, Query) else v)
async def test_what_runs_all_the_time_reads_no_growing_table_whole(vault, file: str, query: Query):
    connection = await asyncpg.connect(vault.database_url, server_settings={"role": ROLE, **PLANNER})
    try:
        arguments = len((await connection.prepare(query.sql)).get_parameters())
        await connection.execute(f"PREPARE it AS {query.sql}")
        values = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
        plan = [line for [line] in await connection.fetch(f"EXPLAIN EXECUTE it{values}")]
    finally:
        await connection.close()
    assert not GROWING.findall("\n".join(plan)), file
