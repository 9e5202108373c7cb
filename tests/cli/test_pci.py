"""`doctor --pci` finds what is wrong, names the requirement and the fix, and shows no card number."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import drop_database, make_database

from scrooge.postgres.database import connect
from scrooge.storage.migrate import migrate
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.custodians import ceremony
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.start import make_vault
from scrooge.vault.schema import ROLE, migrate_vault

NUMBER = "4000009912345678"


@pytest.fixture
def both(server_url: str):
    """A database for the core and one for the vault, on one server: their settings."""

    async def make() -> tuple[str, str]:
        core, vault = await make_database(server_url), await make_database(server_url)
        await migrate(core)
        await migrate_vault(vault)
        return core, vault

    core, vault = asyncio.run(make())
    yield {"SCROOGE_DATABASE_URL": core, "SCROOGE_VAULT_DATABASE_URL": vault}
    for url in (core, vault):
        asyncio.run(drop_database(server_url, url))


def execute(url: str, *statements: str) -> None:
    async def whole() -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(whole())


def looked(scrooge, *arguments: str, **env: str) -> tuple[int, dict[str, dict]]:
    code, out, err = scrooge("doctor", "--pci", "--json", *arguments, **env)
    assert out, err
    assert NUMBER not in out
    return code, {f"{c['check']}, {c['looked_at']}": c for c in json.loads(out)["checks"]}


def test_what_is_right_is_said_by_requirement(scrooge, both, tmp_path: Path):
    (tmp_path / "serve.log").write_text('{"event": "request", "status": 201}\n')
    _, seen = looked(scrooge, "--logs", str(tmp_path), **both)
    wrong = {name for name, c in seen.items() if not c["ok"]}
    # The tests' databases have one login; this machine may swap, and runs no vault.
    assert wrong <= {"apart, both databases", "memory stays memory, /proc/swaps"}
    assert seen["no card number in rows, vault's database"]["requirement"] == "3.5.1"
    assert seen["the audit is whole, audit"]["requirement"] == "10.3.4"
    assert seen["security codes on no disk, security_codes"]["found"] == "unlogged"
    assert not seen["apart, both databases"]["ok"], "one login enters both"
    assert all(c["fix"] for c in seen.values() if not c["ok"])


def test_an_audit_made_anew_is_found_where_it_was_seen_before(scrooge, both, tmp_path: Path):
    audit = "the audit is whole, audit"
    _, seen = looked(scrooge, **both)
    assert seen[audit]["ok"]
    assert "not compared with an earlier look" in seen[audit]["found"]
    assert "--anchors" in seen[audit]["fix"]
    kept = tmp_path / "heads.json"
    scrooge("vault", "callers", "create", "--merchant", "mer_01K9YH4V9GYB7T2D4Z8QW3M5N6", "--caller", "checkout",
            "--scopes", "read", **both)  # fmt: skip
    kept.write_text(scrooge("audit", "verify", "--json", **both)[1])
    _, seen = looked(scrooge, "--anchors", str(kept), **both)
    assert seen[audit]["ok"]
    assert not seen[audit]["fix"]
    vault = both["SCROOGE_VAULT_DATABASE_URL"]
    execute(vault, "SET session_replication_role = replica", "TRUNCATE audit, audit_heads")
    execute(vault, "INSERT INTO audit_heads (stream, seq, hash) SELECT 'control', 0, sha256('control')")
    assert looked(scrooge, **both)[1][audit]["ok"], "nothing in it says that there was another"
    code, seen = looked(scrooge, "--anchors", str(kept), **both)
    assert (code, seen[audit]["ok"]) == (3, False)
    assert "seen before" in seen[audit]["found"]


def test_anchors_that_are_none_are_told(scrooge, both, tmp_path: Path):
    (tmp_path / "heads.json").write_text('{"heads": 3}')
    code, out, err = scrooge("doctor", "--pci", "--anchors", str(tmp_path / "heads.json"), **both)
    assert (code, out) == (2, "")
    assert "--anchors takes what" in err


def test_a_registry_of_keys_that_nobody_could_check_is_not_called_whole(scrooge, both, tmp_path: Path):
    registry = "no key put in another's place, registry of keys"
    assert looked(scrooge, **both)[1][registry]["found"] == "no keys yet"
    held = ceremony(("alice", "bob"), 2)

    async def make() -> None:
        db = await connect(both["SCROOGE_VAULT_DATABASE_URL"], size=1, role=ROLE)
        assert await make_vault(db, held.new, Periods(), Operator("operator:test", "cli"))
        await db.close()

    asyncio.run(make())
    code, seen = looked(scrooge, SCROOGE_VAULT_KEK="shares:", **both)
    assert (code, seen[registry]["ok"], seen[registry]["found"]) == (3, False, "not checked")
    assert "shares" in seen[registry]["fix"]


def test_what_is_wrong_is_found_with_its_fix(scrooge, both, tmp_path: Path):
    log = tmp_path / "serve.log"
    log.write_text(f"number={NUMBER[:4]} {NUMBER[4:8]} {NUMBER[8:12]} {NUMBER[12:]}\n")
    execute(both["SCROOGE_DATABASE_URL"], "CREATE TABLE notes (body jsonb)",
            f"INSERT INTO notes VALUES ('{{\"deep\": \"{NUMBER}\"}}')")  # fmt: skip
    execute(
        both["SCROOGE_VAULT_DATABASE_URL"], "GRANT DELETE ON audit TO scrooge_vault",
        "ALTER TABLE security_codes SET LOGGED", "UPDATE audit_heads SET seq = seq + 1 WHERE stream = 'control'",
        "INSERT INTO security_codes VALUES (1, gen_random_uuid(), '\\x00', now() - interval '1 hour')",
    )  # fmt: skip
    others = {
        "SCROOGE_VAULT_URL": "http://vault.example:8081", "SCROOGE_VAULT_LOG_LEVEL": "debug",
        "SCROOGE_VAULT_PUBLIC_KEY": "A" * 43, "SCROOGE_SERVICE_KEY": "A" * 43,
    }  # fmt: skip
    code, seen = looked(scrooge, "--logs", str(log), **both, **others)
    assert code == 3
    expected = {
        f"no card number in files, {log}": "3.5.1",
        "no card number in rows, core's database": "3.5.1",
        "nobody changes the audit, scrooge_vault": "10.3.2",
        "security codes on no disk, security_codes": "3.3.2",
        "security codes gone, security_codes": "3.3.1",
        "the audit is whole, audit": "10.3.4",
        "encrypted on the way, SCROOGE_VAULT_URL": "4.2.1",
        "no debug log, SCROOGE_VAULT_LOG_LEVEL": "3.5.1",
    }
    for name, requirement in expected.items():
        assert not seen[name]["ok"], name
        assert seen[name]["requirement"] == requirement
        assert seen[name]["fix"]
    assert "notes.body" in seen["no card number in rows, core's database"]["found"]
    assert "400000...5678" in seen[f"no card number in files, {log}"]["found"]


def test_a_server_that_logs_parameters_is_found(scrooge, both):
    name = both["SCROOGE_VAULT_DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    execute(both["SCROOGE_VAULT_DATABASE_URL"], f"ALTER DATABASE {name} SET log_min_duration_statement = 0")
    _, seen = looked(scrooge, **both)
    assert not seen["PostgreSQL's log, vault's database"]["ok"]
    assert seen["PostgreSQL's log, core's database"]["ok"]


def test_where_the_vault_is_not_the_core_is_looked_at_alone(scrooge, both, tmp_path: Path):
    env = {"SCROOGE_DATABASE_URL": both["SCROOGE_DATABASE_URL"], "SCROOGE_VAULT_DATA_DIR": str(tmp_path)}
    _, seen = looked(scrooge, **env)
    assert seen["the vault, its database"]["ok"]
    assert "not here" in seen["the vault, its database"]["found"]
    assert "no card number in rows, core's database" in seen
