"""The bench measures real payments on a real server, says everything it promises, and refuses wrong money."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scrooge.cli.bench.sample import Seller, sample
from scrooge.cli.bench.script import script
from scrooge.cli.main import app
from scrooge.ids import new_id

SECONDS = 240
PROMISED = {
    "payments_per_second", "latency_ms", "overhead_ms", "cpu_ms_per_payment", "commits_per_payment",
    "limit_per_second", "ratio_to_limit", "errors", "machine", "check", "rss_mb", "low_load", "half_capacity",
}  # fmt: skip


def bench(*arguments: str) -> tuple[int, str, str]:
    outer = {k: v for k, v in os.environ.items() if not k.startswith("SCROOGE_")}
    with tempfile.TemporaryDirectory(prefix="scrooge-bench-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "scrooge", "bench", "--data-dir", folder, *arguments],
            capture_output=True, text=True, timeout=SECONDS, env=outer,
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
