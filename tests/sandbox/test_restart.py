"""A killed sandbox comes back with what it knew: money, keys, truth, and news still to deliver."""

import http.client
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from scrooge.sandbox.config import SandboxConfig
from scrooge.sandbox.records import Task
from scrooge.sandbox.server import create_app
from scrooge.sandbox.state import State

from .conftest import Receiver, Server, adyen_at, adyen_payment, listening, stripe_at, wait_for

PROGRAM = """
import sys
from pathlib import Path
from scrooge.sandbox.config import SandboxConfig
from scrooge.sandbox.server import run
run(SandboxConfig(
    port=int(sys.argv[1]), state_path=Path(sys.argv[2]), latency_ms=0,
    notify_delay_ms=float(sys.argv[3]), later_ms=400, search_lag_ms=0,
))
"""


class Process(Server):
    """A sandbox in a process of its own, by the public `run`."""

    def __init__(self, state: Path, port: int, notify_delay_ms: float = 5.0) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        arguments = [str(port), str(state), str(notify_delay_ms)]
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])
        wait_for(self._healthy)

    def _healthy(self) -> bool:
        try:
            return urllib.request.urlopen(self.url + "/healthz", timeout=1).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.exit_code = self.process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_kill_loses_nothing(tmp_path: Path, key: str, merchant: str, receiver: Receiver):
    state, port = tmp_path / "deep" / "state.journal", free_port()
    first = Process(state, port, notify_delay_ms=400)
    client, adyen = stripe_at(first, key), adyen_at(first)
    hmac_key = listening(adyen, merchant, receiver.url)
    params: Any = {
        "amount": 1299,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "capture_method": "manual",
        "metadata": {"reference": "r"},
    }
    options: Any = {"idempotency_key": "kept"}
    intent = client.v1.payment_intents.create(params=params, options=options)
    psp = adyen.checkout.payments_api.payments(
        adyen_payment(merchant, "r", "stored_capture_fails", additionalData={})
    ).message["pspReference"]
    truth = first.truth()
    first.kill()
    assert receiver.taken == []

    second = Process(state, port)
    try:
        assert second.truth()[: len(truth)] == truth
        again = client.v1.payment_intents.create(params=params, options=options)
        assert again.id == intent.id
        assert client.v1.payment_intents.capture(intent.id).status == "succeeded"
        found = client.v1.payment_intents.search(params={"query": "metadata['reference']:'r'"})
        assert [row.id for row in found.data] == [intent.id]
        # The notification that was waiting, and the capture that was going to fail.
        receiver.wait(2)
        assert hmac_key
        wait_for(lambda: len(second.truth(psp_reference=psp)) == 2)
        assert [line["n"] for line in second.truth()] == list(range(1, len(second.truth()) + 1))
    finally:
        second.stop()
    assert second.exit_code == 0


def test_a_torn_last_frame_is_cut_off(tmp_path: Path):
    path = tmp_path / "journal"
    state = State([Task], path)
    state.put(Task(id="a", name="whole", subject="", due_at=0.0))
    state.commit()
    state.put(Task(id="b", name="torn", subject="", due_at=0.0))
    state.close()
    path.write_bytes(path.read_bytes()[:-3])
    again = State([Task], path)
    assert [task.name for task in again.all(Task)] == ["whole"]
    again.put(Task(id="c", name="after", subject="", due_at=0.0))
    again.close()
    assert [task.name for task in State([Task], path).all(Task)] == ["whole", "after"]


def test_a_commit_is_one_write(tmp_path: Path):
    state = State([Task], tmp_path / "journal")
    for name in "ab":
        state.put(Task(id=name, name=name, subject="", due_at=0.0))
    assert (tmp_path / "journal").stat().st_size == 0
    state.commit()
    assert (tmp_path / "journal").stat().st_size > 0
    state.close()


def test_truth_is_read_from_where_one_left(tmp_path: Path, key: str):
    config = SandboxConfig(latency_ms=0, state_path=tmp_path / "journal")
    assert create_app(config).state.world.truth == []
    server = Server(config)
    try:
        client = stripe_at(server, key)
        for n in range(3):
            client.v1.payment_intents.create(
                params={
                    "amount": 100 + n,
                    "currency": "eur",
                    "payment_method": "pm_card_visa",
                    "confirm": True,
                }
            )
        assert [line["n"] for line in server.truth(after=1)] == [2, 3]
        assert server.truth(after=3) == []
        assert set(server.truth()[0]) == {
            "n",
            "connector",
            "merchant_account",
            "reference",
            "operation",
            "psp_reference",
            "minor",
            "currency",
            "outcome",
            "at",
        }
        assert server.call("GET", "/truth?after=x")[0] == 422
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["/stripe/v1/nothing", "/adyen/v72/nothing", "/nothing"])
def test_what_is_not_there_is_404(sandbox: Server, path: str):
    headers = {"authorization": "Bearer sk_test_1", "x_api_key": "k"}
    assert sandbox.call("GET", path, **headers)[0] == 404
