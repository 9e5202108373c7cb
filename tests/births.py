"""`serve`, `worker` and `sandbox` as processes of their own, forked from one that has imported everything already."""

import contextlib
import functools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Born:
    """One process; what `subprocess.Popen` tells of one, this tells too."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nurse:
    """Its process and all that were born there end with ours."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        self.turn = threading.Lock()
        self.births: queue.Queue[Born] = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        alive: dict[int, Born] = {}
        for line in self.process.stdout or ():
            fact = json.loads(line)
            if "born" in fact:
                alive[fact["born"]] = Born(fact["born"])
                self.births.put(alive[fact["born"]])
            elif "ended" in fact:
                born = alive.pop(fact["pid"])
                born.returncode = fact["ended"]
                born.ended.set()

    def bear(self, order: dict[str, Any]) -> Born:
        with self.turn:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
            return self.births.get(timeout=60)


@functools.cache
def nurse() -> Nurse:
    return Nurse()


def born(kind: str, *, env: dict[str, str] | None = None, log: Path | None = None, **sandbox: Any) -> Born:
    """`kind` is serve, worker, vault, sandbox or command; `sandbox` its configuration. Without a log it writes where we
    do."""
    return nurse().bear(
        {"kind": kind, "env": {**os.environ, **(env or {})}, "log": log and str(log), "sandbox": sandbox}
    )
