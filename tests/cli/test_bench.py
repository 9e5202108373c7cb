"""The bench measures real payments on a real server, says everything it promises, and refuses wrong money."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from scrooge.cli.bench import growth
from scrooge.cli.bench.long import sizes
from scrooge.cli.bench.sample import Seller, sample
from scrooge.cli.bench.script import script
from scrooge.cli.bench.server import ask, server
from scrooge.cli.database import audited
from scrooge.cli.main import app
from scrooge.domain.outcome import Approved
from scrooge.ids import new_id
from scrooge.postgres import embedded
from scrooge.settings import load

SECONDS = 240
PROMISED = {
    "payments_per_second", "latency_ms", "overhead_ms", "cpu_ms_per_payment", "commits_per_payment",
    "limit_per_second", "ratio_to_limit", "errors", "machine", "check", "rss_mb", "low_load", "half_capacity",
}  # fmt: skip


COMMAND = (sys.executable, "-m", "scrooge", "bench")


def outer() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("SCROOGE_")}


def bench(*arguments: str) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory(prefix="scrooge-bench-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [*COMMAND, "--data-dir", folder, *arguments],
            capture_output=True, text=True, timeout=SECONDS, env=outer(),
        )  # fmt: skip
        assert not list(Path(folder).iterdir()), "what was made for the run is gone"
    return done.returncode, done.stdout, done.stderr


def test_it_measures_payments_and_the_limit_and_the_money_is_right():
    code, out, err = bench("--seconds", "1", "--rounds", "1", "--clients", "8", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told.keys() >= PROMISED
    assert told["ok"]
    assert told["payments_per_second"] > 0
    assert told["limit_per_second"] > 0
    assert told["errors"] == {}
    assert set(told["cpu_ms_per_payment"]) == {"api", "worker", "postgres", "psp", "load"}
    assert set(told["latency_ms"]) == {"p50", "p95", "p99"}
    assert 0 < told["commits_per_payment"] <= 2.5
    assert told["machine"]["postgres"]["fsync"] == "on"
    minimal, sandbox = told["minimal"], told["sandbox"]
    assert minimal["limit_check_ok"], "pgbench writes the rows that we would have written"
    assert minimal["psp"]["calls"] == minimal["psp"]["payments"] == minimal["check"]["payments"]
    for section in (minimal, sandbox):
        assert section["check"]["ok"]
        assert section["check"]["truth_lines"] >= section["check"]["payments"] > 0
        assert section["check"]["foreign"] == 0
    assert minimal["half_capacity"]["latency_ms"]["p50"] >= 50, "the PSP took its time"
    assert minimal["half_capacity"]["overhead_ms"]["p50"] < minimal["half_capacity"]["latency_ms"]["p50"] - 49


def test_wrong_money_is_told_whatever_the_speed():
    with tempfile.TemporaryDirectory(prefix="scrooge-bench-", ignore_cleanup_errors=True) as folder:
        running = subprocess.Popen(
            [*COMMAND, "--data-dir", folder, "--psp", "minimal", "--brief", "--seconds", "1", "--rounds", "2",
             "--clients", "2", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=outer(),
        )  # fmt: skip
        said = next((line for line in running.stderr if line.startswith("round 1")), None)
        [place] = Path(folder).glob("bench-*")
        asyncio.run(take_a_cent(embedded.url_of(place / "postgres")))
        out, err = running.communicate(timeout=SECONDS)
    assert said
    assert running.returncode == 3, err
    told = json.loads(out)
    assert not told["ok"]
    assert told["check"]["unbalanced_journals"] == 1


async def take_a_cent(url: str) -> None:
    """From one posting of the database that is being measured, past every trigger."""
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT datname FROM pg_database WHERE datname LIKE 'scrooge_bench_minimal_%'")
    await connection.close()
    connection = await asyncpg.connect(url, database=name)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "UPDATE postings SET minor = minor - 1"
        " WHERE (journal_id, line) IN (SELECT journal_id, line FROM postings ORDER BY journal_id LIMIT 1)"
    )
    await connection.close()


async def test_copies_of_a_payment_are_payments(world):
    """What the tables are grown with holds up in the audit like any other payment."""
    await world.pay(Approved("pi_1"))
    of = await growth.template(world.url)
    await growth.grow(world.url, of, 0, 300, lambda _: None)
    await growth.grow(world.url, of, 300, 500, lambda _: None)
    report = await audited(world.url, None)
    assert report.ok, report.findings
    assert report.payments == 501
    spread = await world.db.pool.fetchval("SELECT count(DISTINCT tableoid) FROM payments")
    assert spread == growth.MONTHS + 1


@pytest.mark.parametrize(
    ("most", "steps"),
    [(5_000, [5_000]), (10_000, [10_000]), (300_000, [10_000, 100_000, 300_000]), (10**6, [10**4, 10**5, 10**6])],
)
def test_the_curve_goes_by_tens(most, steps):
    assert sizes(most) == steps


@pytest.mark.parametrize("wrong", [("--seconds", "0"), ("--psp", "adyen"), ("--clients", "0")])
def test_wrong_usage_is_told_before_anything_starts(wrong, tmp_path):
    told = CliRunner().invoke(app, ["bench", "--data-dir", str(tmp_path / "none"), *wrong])
    assert told.exit_code == 2
    assert wrong[0] in told.stderr
    assert not (tmp_path / "none").exists()


async def test_the_limit_is_driven_by_our_own_statements():
    """Nothing that names one payment is left in the script, and nothing that pgbench would take for a variable."""
    seller = Seller(new_id("mer", 0), new_id("clr", 0), new_id("con", 0))
    found = await sample(seller, ["order-1"])
    text = script(found)
    assert found.payments[0].id not in text
    assert found.payments[0].attempts[0].id not in text
    assert "order-1" not in text
    assert '"minor": 1299' in text


def test_the_embedded_server_has_room_for_every_client_of_the_limit(tmp_path):
    with server(load({}), tmp_path, clients=300) as where:
        found = asyncio.run(ask(where.url, "SELECT current_setting('max_connections')::int AS most"))
    assert found["most"] >= 300


def test_it_measures_the_vault_and_the_audit_is_right():
    code, out, err = bench("--vault", "--seconds", "1", "--rounds", "1", "--clients", "8", "--cards", "200", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["ok"]
    assert told["audit"]["whole"]
    assert told["psp"]["calls"] == told["psp"]["payments"] > told["psp"]["by_vault"] >= told["fill"]["done"]
    for section in (told["tokenize"], told["fill"], told["stored"]["fill"]):
        assert section["per_second"] > 0
        assert section["errors"] == {}
        assert set(section["cpu_ms"]) == {"vault", "postgres", "psp", "load"}
    for section in told["hop"].values():
        if not (section["by_vault"] and section["direct"]):
            continue  # A busy machine: no answer came in time.
        assert section["by_vault"]["p50"] > section["direct"]["p50"], "one more process is on the way"
    assert told["stored"]["kb_each"]["cards"] >= 200
    assert told["cards"] >= told["tokenize"]["done"] + 200
