"""The commands as a person or a script meets them: what they print where, and how they exit."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from scrooge.cli import ledger
from scrooge.ledger.export import FORMATS

HELP = ("demo", "serve", "worker", "sandbox", "migrate", "check", "doctor", "test-cards", "ledger export",
        "ledger balances", "keys create", "keys list", "keys revoke")  # fmt: skip


def test_the_snippet_for_shops_names_the_vault_and_pins_its_script(scrooge):
    code, out, _ = scrooge("vault", "snippet", SCROOGE_VAULT_PUBLIC_URL="https://vault.example")
    assert code == 0
    assert out.startswith('<script src="https://vault.example/scrooge.js" integrity="sha384-')


@pytest.fixture
def db(world) -> dict[str, str]:
    return {"SCROOGE_DATABASE_URL": world.url}


@pytest.mark.parametrize("command", HELP)
def test_every_command_explains_itself(scrooge, command):
    code, out, _ = scrooge(*command.split(), "--help")
    assert code == 0
    assert "--json" in out


def test_version(scrooge):
    assert scrooge("--version")[:2] == (0, "scrooge 0.1.0\n")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SCROOGE_PORT", "high", "SCROOGE_PORT must be a number"),
        ("SCROOGE_DATABASE_URL", "mysql://x", "SCROOGE_DATABASE_URL must begin with postgresql://"),
        ("SCROOGE_DATABASE_URL", "postgresql://h:port/x", "SCROOGE_DATABASE_URL"),
        ("SCROOGE_LOG_LEVEL", "loud", "SCROOGE_LOG_LEVEL must be one of"),
    ],
)
def test_a_bad_setting_is_named_and_exits_2(scrooge, variable, value, told):
    code, out, err = scrooge("check", "--json", **{variable: value})
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_wrong_usage_exits_2(scrooge):
    for arguments in (["nothing"], ["check", "--maybe"], ["ledger", "export", "--format", "xml"]):
        code, out, err = scrooge(*arguments)
        assert (code, out) == (2, ""), arguments
        assert err


def test_a_database_that_is_not_there_exits_1_in_one_sentence(scrooge):
    gone = {"SCROOGE_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}
    for arguments in (["check"], ["migrate"], ["worker"], ["serve"], ["keys", "list"], ["ledger", "balances"]):
        code, out, err = scrooge(*arguments, **gone)
        assert (code, out) == (1, ""), arguments
        assert "SCROOGE_DATABASE_URL (127.0.0.1): the database cannot be reached" in err
        assert "Traceback" not in err


@pytest.mark.parametrize("command", ["vault migrate", "vault status", "vault callers list", "vault keys status",
                                     "audit verify"])  # fmt: skip
@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x", 1, " (127.0.0.1): the database cannot be reached"),
        ("postgresql://u:hunter2/3@127.0.0.1:1/x", 2, " is not a URL like "),
    ],
)
def test_what_is_wrong_with_the_vaults_database_names_the_vaults_setting(scrooge, command, url, code, said):
    ended, out, err = scrooge(*command.split(), SCROOGE_VAULT_DATABASE_URL=url)
    assert (ended, out) == (code, "")
    assert f"scrooge: SCROOGE_VAULT_DATABASE_URL{said}" in err
    assert "hunter2" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://u:hunter2@nowhere.invalid/x", 1),
        ("postgresql://u:hunter2@127.0.0.1:1,127.0.0.1:2/x", 1),
        ("postgresql://u:hunter2/3@127.0.0.1:1/x", 2),
        ("postgresql://u:hunter2?3@127.0.0.1:1/x", 2),
    ],
)
def test_a_bad_database_url_is_named_and_its_password_never(scrooge, url, code):
    for arguments in (["check"], ["doctor"]):
        ended, out, err = scrooge(*arguments, SCROOGE_DATABASE_URL=url)
        assert ended == (code if arguments == ["check"] else 3)
        assert "SCROOGE_DATABASE_URL" in out + err
        assert "hunter2" not in out + err
        assert "Traceback" not in err


LOOKING = ("check", "ledger export --format csv", "ledger balances", "keys list",
           "keys revoke key_01K9YH4V9GYB7T2D4Z8QW3M5N6")  # fmt: skip


@pytest.mark.parametrize("command", LOOKING)
def test_who_only_looks_makes_no_database(scrooge, command, tmp_path):
    folder = tmp_path / "none"
    code, out, err = scrooge(*command.split(), SCROOGE_DATA_DIR=str(folder))
    assert (code, out) == (2, "")
    assert f"there is no database in {folder}" in err
    assert "SCROOGE_DATA_DIR" in err
    assert "SCROOGE_DATABASE_URL" in err
    assert not folder.exists()


@pytest.mark.parametrize("command", ["migrate", "check", "keys create --caller a --scopes *", "demo"])
def test_a_data_directory_that_cannot_be_used_is_a_setting_to_change(scrooge, command, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    folder = tmp_path / "file" / "below"
    more = ("--data-dir", str(folder)) if command == "demo" else ()
    code, out, err = scrooge(*command.split(), *more, SCROOGE_DATA_DIR=str(folder))
    assert (code, out) == (2, "")
    assert str(folder) in err
    assert ("--data-dir" if command == "demo" else "SCROOGE_DATA_DIR") in err
    assert "Traceback" not in err


def test_a_schema_that_is_behind_is_refused_with_the_command_that_helps(scrooge, server_url):
    empty = {"SCROOGE_DATABASE_URL": re.sub(r"/\w+(\?|$)", r"/postgres\1", server_url)}
    for arguments in (["serve"], ["worker"], ["check"], ["keys", "list"], ["ledger", "balances"]):
        code, _, err = scrooge(*arguments, **empty)
        assert code == 1, arguments
        assert "run `scrooge migrate`" in err
    code, out, _ = scrooge("migrate", "--check", "--json", **empty)
    assert code == 3
    assert json.loads(out)["behind"][0] == "0001_core"


def test_migrate_says_what_it_did(scrooge, db):
    assert scrooge("migrate", **db)[:2] == (0, "up to date\n")
    assert json.loads(scrooge("migrate", "--json", **db)[1]) == {"applied": [], "behind": []}


def test_a_taken_port_is_a_setting_to_change(scrooge, db):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command, variable in (("serve", "SCROOGE_PORT"), ("sandbox", "SCROOGE_SANDBOX_PORT")):
            code, _, err = scrooge(command, "--port", port, **db)
            assert code == 2
            assert f"{variable}: 127.0.0.1:{port} is in use" in err


# --- check ----------------------------------------------------------------------------------


def test_check_prints_the_document_of_the_contract(scrooge, db):
    code, out, _ = scrooge("check", "--json", **db)
    report = json.loads(out)
    assert code == 0
    assert list(report)[:8] == [
        "ok", "payments", "double_charges", "lost", "amount_mismatches", "unbalanced_journals", "unresolved",
        "breaks",
    ]  # fmt: skip
    assert list(report)[-1] == "findings"


async def test_check_exits_3_when_the_money_is_wrong(scrooge, world, db):

    await world.pay(None)
    await world.break_with("UPDATE payments SET status = 'captured'")
    code, out, err = await asyncio.to_thread(run_apart, "check", **db)
    assert code == 3
    assert "the money is NOT right" in out
    assert "the status is kept as captured" in err


def run_apart(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """As a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SCROOGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "scrooge", *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_check_compares_with_a_sandbox_page_by_page(scrooge, db, sandbox_url):
    code, out, _ = scrooge("check", "--sandbox", sandbox_url, "--json", **db)
    assert code == 0
    report = json.loads(out)
    assert report["truth_lines"] == report["foreign"] + sum(report[k] for k in ("lost",))


def test_check_says_when_the_sandbox_does_not_answer(scrooge, db):
    code, out, err = scrooge("check", "--sandbox", "http://127.0.0.1:1", "--json", **db)
    assert (code, out) == (1, "")
    assert "no truth from http://127.0.0.1:1" in err


def test_check_says_who_was_not_asked_and_what_is_not_known(scrooge, db, world, sandbox_url):
    code, out, _ = scrooge("check", **db)
    assert code == 0
    assert "the money is right\n" in out
    assert "the PSPs were not asked" in out
    assert "not asked" not in scrooge("check", "--sandbox", sandbox_url, **db)[1]


async def test_check_does_not_call_right_what_is_unresolved(world, db):
    await world.pay(None)
    code, out, _ = await asyncio.to_thread(run_apart, "check", **db)
    assert code == 0
    assert "as far as it is known: 1 attempt is unresolved" in out


@pytest.mark.parametrize("url", ["127.0.0.1:8090", "ftp://sandbox", "http://", "http://host:port", "http://[", ""])
def test_a_sandbox_that_is_no_url_is_wrong_usage(scrooge, db, url):
    code, out, err = scrooge("check", "--sandbox", url, **db)
    assert (code, out) == (2, "")
    assert "--sandbox" in err


# --- keys -----------------------------------------------------------------------------------


def test_a_key_is_shown_once_listed_without_itself_and_revoked(scrooge, db):
    code, out, err = scrooge("keys", "create", "--caller", "ads", "--scopes", "payments:read,refunds:write", **db)
    assert code == 0
    assert re.fullmatch(r"sk_test_\S{40,}\n", out)
    assert "not shown again" in err
    made = json.loads(scrooge("keys", "create", "--caller", "ads", "--scopes", "*", "--json", **db)[1])
    assert (made["merchant"], made["caller"], made["scopes"], made["mode"]) == ("default", "ads", ["*"], "test")
    listed = scrooge("keys", "list", "--json", **db)[1]
    assert made["key"] not in listed
    assert [k["scopes"] for k in json.loads(listed)["keys"]] == [["payments:read", "refunds:write"], ["*"]]
    assert scrooge("keys", "revoke", made["id"], **db)[0] == 0
    assert "revoked" in scrooge("keys", "list", **db)[1]
    other = f"{made['id'][:-1]}{'0' if made['id'][-1] != '0' else '1'}"
    code, _, err = scrooge("keys", "revoke", other, **db)
    assert (code, err) == (1, f"scrooge: no key {other}\n")
    for wrong in (made["key"], "pay_" + made["id"].removeprefix("key_"), "nonsense"):
        code, _, err = scrooge("keys", "revoke", wrong, **db)
        assert code == 1
        assert "that is not the id of a key" in err
        assert wrong not in err


def test_scopes_and_names_that_cannot_be_are_wrong_usage(scrooge, db):
    for arguments, told in (
        (["--caller", "ads", "--scopes", "money:print"], "money:print"),
        (["--caller", "Ads!", "--scopes", "*"], "--caller"),
        (["--caller", "ads", "--scopes", "*", "--merchant", ""], "--merchant"),
    ):
        code, out, err = scrooge("keys", "create", *arguments, **db)
        assert (code, out) == (2, "")
        assert told in err


def test_the_embedded_database_makes_no_live_keys(scrooge):
    # Not in pytest's own directory, which every other pytest that starts closes to the server's user.
    with tempfile.TemporaryDirectory(prefix="scrooge-keys-") as folder:
        code, _, err = scrooge("keys", "create", "--caller", "ads", "--scopes", "*", "--live", SCROOGE_DATA_DIR=folder)
        assert code == 2
        assert "SCROOGE_DATABASE_URL" in err
        # The same database answers a test key, and stops with the command.
        code, _, _ = scrooge("keys", "create", "--caller", "a", "--scopes", "*", SCROOGE_DATA_DIR=folder)
        assert code == 0
        assert not (Path(folder) / "postgres" / "postmaster.pid").exists()


# --- the rest -------------------------------------------------------------------------------


def test_the_formats_offered_are_the_formats_there_are():
    assert {str(form) for form in ledger.Form} == set(FORMATS)


def test_an_export_goes_to_stdout_or_whole_into_a_file(scrooge, db, tmp_path):
    for form in FORMATS:
        code, out, _ = scrooge("ledger", "export", "--format", form, **db)
        assert code == 0
        path = tmp_path / form
        code, told, _ = scrooge("ledger", "export", "--format", form, "-o", str(path), "--json", **db)
        assert json.loads(told) == {"format": form, "file": str(path), "journals": 0}
        assert path.read_bytes().decode().splitlines() == out.splitlines()
    code, _, err = scrooge("ledger", "export", "--format", "csv", "--json", **db)
    assert code == 2
    assert "-o FILE" in err


def test_a_file_that_cannot_be_written_is_named(scrooge, db, tmp_path):
    for path in (tmp_path / "missing" / "books.csv", tmp_path):
        code, out, err = scrooge("ledger", "export", "--format", "csv", "-o", str(path), **db)
        assert (code, out) == (1, "")
        assert f"scrooge: {path} cannot be written" in err
        assert "Traceback" not in err


def test_test_cards_are_rows_of_the_contract(scrooge):
    rows = json.loads(scrooge("test-cards", "--json")[1])
    assert all(set(row) == {"connector", "token", "number", "outcome"} for row in rows)
    assert {"approved", "declined:insufficient_funds", "challenge"} <= {row["outcome"] for row in rows}
    assert "pm_card_visa" in scrooge("test-cards")[1]


def test_the_doctor_finds_what_is_wrong_and_what_fixes_it(scrooge, db, tmp_path):
    free = {"SCROOGE_PORT": "18099", "SCROOGE_DATA_DIR": str(tmp_path)}
    code, out, _ = scrooge("doctor", "--json", **db, **free)
    findings = {f["check"]: f for f in json.loads(out)["findings"]}
    assert findings["database"]["ok"]

    async def waits_for_the_disk() -> bool:
        connection = await asyncpg.connect(db["SCROOGE_DATABASE_URL"])
        try:
            return await connection.fetchval("SELECT current_setting('fsync') = 'on'")
        finally:
            await connection.close()

    durable = asyncio.run(waits_for_the_disk())  # The tests' own server does not; one that they are given does.
    assert findings["durability"]["ok"] is durable
    assert durable or "fsync" in findings["durability"]["fix"]
    assert findings["schema"]["ok"]
    assert "scrooge keys create" in findings["API keys"]["fix"]
    assert code == 3  # No key yet, and no key to seal credentials with.
    code, out, _ = scrooge("doctor", **free)
    assert code == 0, out
    assert f"can run here; there is no database in {tmp_path} yet" in out
    assert not Path(tmp_path, "postgres").exists()


def test_the_doctor_names_a_bad_setting(scrooge):
    code, out, _ = scrooge("doctor", "--json", SCROOGE_PORT="x")
    assert code == 3
    assert "SCROOGE_PORT" in json.loads(out)["findings"][1]["detail"]


def test_the_doctor_finds_what_a_start_would_not_say(scrooge, db, tmp_path):
    (tmp_path / "file").write_text("")
    for told, environment in (
        ("SCROOGE_PROT", {"SCROOGE_PROT": "8081", "SCROOGE_VAULT_URL": "http://127.0.0.1", **db}),
        ("SCROOGE_CREDENTIALS_KEY must hold Fernet keys", {"SCROOGE_CREDENTIALS_KEY": "short", **db}),
        ("SCROOGE_DATA_DIR: ", {"SCROOGE_DATA_DIR": str(tmp_path / "file" / "below")}),
    ):
        code, out, _ = scrooge("doctor", "--json", **environment)
        assert code == 3
        [found] = [f for f in json.loads(out)["findings"] if told in f["detail"]]
        assert not found["ok"]
        assert "SCROOGE_" in found["fix"]
        assert "SCROOGE_VAULT_URL" not in out
    assert "SCROOGE_PROT: SCROOGE_PORT?" in scrooge("doctor", "--json", SCROOGE_PROT="1", **db)[1]
