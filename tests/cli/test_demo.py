"""The whole demo as processes: it pays, it heals itself, and nothing is left when it ends, however it ends."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from scrooge.cli.demo import ports
from scrooge.cli.demo.shop import letters
from scrooge.postgres import cluster
from scrooge.settings import Settings

TIMES = 120  # seconds that a step of the demo may take on a busy machine
PIDS = {"serve", "worker", "vault", "sandbox", "shop", "postgres", "vault_postgres"}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scrooge", "demo", "--ports", "auto", "--data-dir", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("SCROOGE_")},
    )


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + TIMES
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def places(folder: Path) -> dict:
    return json.loads((folder / "demo.json").read_text())


@pytest.fixture
def folder():
    """Not in pytest's own directory, which every other pytest that starts closes to the server's user."""
    with tempfile.TemporaryDirectory(prefix="scrooge-demo-", ignore_cleanup_errors=True) as place:
        folder = Path(place) / "demo"
        yield folder
        for data in (folder / "postgres", folder / "vault" / "postgres"):
            if data.exists():
                cluster.stop_server(data)


def told_right(out: str, folder: Path, number: int) -> None:
    """What the `number`th demo of 60 payments says, and that nothing of it is left."""
    told = json.loads(out)
    assert told["payments"] == 60 == sum(told["outcomes"].values())
    assert told["check"]["ok"], told["check"]["findings"]
    assert told["check"]["payments"] == 60 * number
    assert told["attempts"] >= 60
    assert told["resolved"] == told["unknowns"]
    assert told["unresolved"] == 0
    assert set(told["latency_ms"]) == {"p50", "p95", "p99"}
    assert told["payments_per_second"] > 0
    by_reason = [of["by_reason"].get("insufficient_funds") for of in told["renewals"]["currencies"]]
    waited = [reason for reason in by_reason if reason is not None]
    assert sum(w["recovered"]["count"] for w in waited) > 0, "a declined renewal is won back by a later retry"
    assert sum(w["open"]["count"] + w["lost"]["count"] for w in waited) == 0
    found = places(folder)
    assert {
        "api_url",
        "console_url",
        "vault_url",
        "sandbox_url",
        "shop_url",
        "api_key",
        "vault_key",
        "database_url",
    } < set(found)
    assert set(found["pids"]) == PIDS
    assert all(gone(pid) for pid in found["pids"].values())
    assert stat.S_IMODE((folder / "demo.json").stat().st_mode) == 0o600


def test_it_pays_tells_and_leaves_nothing_running_and_goes_on_the_next_time_until_it_is_interrupted(folder):
    demo = start(folder, "--payments", "60", "--seed", "7", "--exit", "--json")
    out, err = demo.communicate(timeout=2 * TIMES)
    assert demo.returncode == 0, err
    told_right(out, folder, 1)
    first = places(folder)["pids"]
    demo = start(folder, "--payments", "60", "--seed", "7", "--json")
    until(lambda: places(folder)["pids"] != first or demo.poll() is not None, "the payments are made")
    assert demo.poll() is None, demo.stderr.read()
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=2 * TIMES)
    assert demo.returncode == 0, err
    told_right(out, folder, 2)


def test_a_child_that_dies_is_replaced_and_a_killed_demo_takes_all_with_it(folder):
    demo = start(folder, "--payments", "5")
    try:
        until(lambda: (folder / "demo.json").exists() or demo.poll() is not None, "the payments are made")
        assert demo.poll() is None, demo.stderr.read()
        first = places(folder)["pids"]
        assert set(first) == PIDS
        assert not any(gone(pid) for pid in first.values())
        for name in ("serve", "postgres"):
            os.kill(first[name], signal.SIGKILL)
            until(lambda name=name: places(folder)["pids"][name] != first[name], f"a new {name}")
        second = places(folder)["pids"]
        assert second["worker"] == first["worker"]
        code = until_it_pays(places(folder))
        assert code == 200
    finally:
        demo.kill()
    _, err = demo.communicate()
    assert f"serve (pid {first['serve']}) ended with SIGKILL: started again as pid {second['serve']}" in err
    until(lambda: all(gone(pid) for pid in second.values()), "children end with a killed demo")


def until_it_pays(found: dict) -> int:
    """A read through the API, which needs the database, both of them replaced."""
    request = urllib.request.Request(
        f"{found['api_url']}/v1/payments?limit=1", headers={"Authorization": f"Bearer {found['api_key']}"}
    )
    deadline = time.monotonic() + TIMES
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_there_is_one_demo_in_a_directory_a_taken_port_is_named_and_told_to_stop_it_stops_everything(folder):
    demo = start(folder, "--payments", "5", "--json")
    until(lambda: (folder / "ports.json").exists() or demo.poll() is not None, "the demo has its ports")
    second = start(folder, "--payments", "0")
    _, err = second.communicate(timeout=TIMES)
    assert second.returncode == 2
    assert "a demo runs in" in err
    until(lambda: (folder / "demo.json").exists() or demo.poll() is not None, "the payments are made")
    assert demo.poll() is None, demo.stderr.read()
    found = places(folder)
    taken = found["api_url"].rpartition(":")[2]
    third = subprocess.run(
        [sys.executable, "-m", "scrooge", "demo", "--data-dir", str(folder.with_name("other"))],
        env={**os.environ, "SCROOGE_PORT": taken},
        capture_output=True,
        text=True,
        check=False,
    )
    demo.terminate()
    out, err = demo.communicate(timeout=TIMES)
    assert demo.returncode == 0, err
    assert json.loads(out)["payments"] == 5
    assert all(gone(pid) for pid in found["pids"].values())
    assert third.returncode == 2
    assert f"SCROOGE_PORT: 127.0.0.1:{taken} is in use" in third.stderr
    assert "--ports auto" in third.stderr


def sent(found: dict, url: str, body: dict, **headers: str) -> dict:
    """A POST of JSON, as the demo's first caller."""
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {found['api_key']}", **headers},
    )
    with urllib.request.urlopen(request, timeout=TIMES) as answer:
        return json.load(answer)


def test_what_was_interrupted_on_some_ports_is_settled_on_others(folder):
    demo = start(folder, "--payments", "5")
    try:
        until(lambda: (folder / "demo.json").exists() or demo.poll() is not None, "the payments are made")
        assert demo.poll() is None, demo.stderr.read()
        first = places(folder)
        sent(first, f"{first['sandbox_url']}/faults", {"connector": "*", "kind": "charge_then_drop", "rate": 1})
        instruments = json.loads((folder / "shop.json").read_text())["instruments"]["visa"]
        for number, instrument in enumerate(instruments):  # The first goes to Stripe, the second to Adyen.
            body = {
                "reference": f"interrupted-{number}", "instrument": instrument, "customer": "payer-visa",
                "amount": {"value": "12.99", "currency": "EUR"},
            }  # fmt: skip
            payment = sent(first, f"{first['api_url']}/v1/payments", body, **{"Idempotency-Key": body["reference"]})
            assert payment["outcome_certainty"] == "unknown"
    finally:
        demo.kill()
    demo.communicate()
    until(lambda: all(gone(pid) for pid in first["pids"].values()), "the children end with the demo")
    with socket.create_server(("127.0.0.1", int(first["api_url"].rpartition(":")[2]))):
        demo = start(folder, "--payments", "40", "--exit", "--json")  # Long enough for news to arrive.
        out, err = demo.communicate(timeout=2 * TIMES)
    assert demo.returncode == 0, err
    told, second = json.loads(out), places(folder)
    assert {second["api_url"], second["sandbox_url"]}.isdisjoint({first["api_url"], first["sandbox_url"]})
    assert (told["unresolved"], told["check"]["unresolved"]) == (0, 0)
    assert told["check"]["payments"] == 48
    assert told["notifications"] > 0
    assert second["api_key"] == first["api_key"]


def test_ports_that_were_taken_once_are_taken_again_when_asked_for_free_ones(tmp_path, monkeypatch):
    port, sandbox_port, vault_port, shop_port = ports.free_ports("127.0.0.1", 4)
    settings = Settings(port=port, sandbox_port=sandbox_port, shop_port=shop_port)
    monkeypatch.setenv("SCROOGE_VAULT_PORT", str(vault_port))
    fixed = ports.addresses(settings, tmp_path, ports.Ports.FIXED)
    assert fixed == ports.Addresses("127.0.0.1", port, sandbox_port, vault_port, shop_port)
    assert ports.addresses(Settings(), tmp_path, ports.Ports.AUTO) == fixed
    with socket.create_server(("127.0.0.1", sandbox_port)):
        other = ports.addresses(Settings(), tmp_path, ports.Ports.AUTO)
    assert sandbox_port not in (other.port, other.sandbox_port)
    assert ports.addresses(Settings(), tmp_path, ports.Ports.AUTO) == other


def test_a_made_up_key_has_no_digits_to_be_taken_for_a_card_number():
    made = letters(32)
    assert len(made) == 32
    assert made.isascii()
    assert made.isalpha()
