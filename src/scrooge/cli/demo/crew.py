"""The demo's processes: started, watched, started again when they die, and all ended with the demo."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from scrooge.cli.lifeline import VARIABLE
from scrooge.cli.output import say
from scrooge.postgres import embedded

READY_SECONDS = 60.0
STOP_SECONDS = 35.0
WATCH_SECONDS = 0.2


class CrewError(Exception):
    """A process of the demo does not come up; the message has its last words."""


class Job(Struct, frozen=True):
    """A command of ours to keep running; `ready` is a URL that answers 200 once it works, `own` are its settings."""

    name: str
    arguments: tuple[str, ...]
    ready: str | None = None
    own: Mapping[str, str] = {}


class Crew:
    """Who runs now. `changed` is told whenever a process has been replaced."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.jobs: dict[str, Job] = {}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.changed: Callable[[], None] = lambda: None
        self.lifeline, self.ours = os.pipe()
        self.database = embedded.start(folder)
        self.vault_database = embedded.start(folder / "vault")

    @property
    def pids(self) -> dict[str, int]:
        databases = {"postgres": self.database.pid, "vault_postgres": self.vault_database.pid}
        return {name: child.pid for name, child in self.children.items()} | databases

    def start(self, job: Job) -> None:
        """In a session of its own: a Ctrl-C is for the demo, which then ends its children in order."""
        self.jobs[job.name] = job
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{job.name}.log").open("ab") as log:
            self.children[job.name] = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "scrooge", *job.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment, **job.own, VARIABLE: str(self.lifeline)},
                pass_fds=(self.lifeline,),
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Until every job that can say so is ready. Raises CrewError."""
        until = time.monotonic() + READY_SECONDS
        for job in self.jobs.values():
            while job.ready is not None and not await asyncio.to_thread(answers, job.ready):
                if self.children[job.name].poll() is not None or time.monotonic() > until:
                    raise CrewError(f"{job.name} did not start:\n{self.last_words(job.name)}")
                await asyncio.sleep(0.05)

    def last_words(self, name: str) -> str:
        text = (self.folder / "logs" / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-8:])

    async def watch(self) -> None:
        """Replaces whoever dies, for as long as it runs."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for name, child in list(self.children.items()):
                if child.poll() is not None:
                    self.start(self.jobs[name])
                    self.tell(name, child.pid, child.returncode)
            if not await asyncio.to_thread(self.database.alive):
                gone = self.database
                self.database = await asyncio.to_thread(embedded.start, self.folder)
                await asyncio.to_thread(gone.stop)
                self.tell("postgres", gone.pid, None)
            if not await asyncio.to_thread(self.vault_database.alive):
                gone = self.vault_database
                self.vault_database = await asyncio.to_thread(embedded.start, self.folder / "vault")
                await asyncio.to_thread(gone.stop)
                self.tell("vault_postgres", gone.pid, None)

    def tell(self, name: str, before: int, code: int | None) -> None:
        how = "" if code is None else f" with {signal.Signals(-code).name if code < 0 else code}"
        say(f"{name} (pid {before}) ended{how}: started again as pid {self.pids[name]}")
        self.changed()

    def stop(self) -> None:
        """Ends everything that was started: who asks, then who is asked, the database last."""
        for name in sorted(self.children, key=lambda name: name == "sandbox"):
            child = self.children[name]
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.vault_database.stop()
        self.database.stop()
        os.close(self.ours)
        os.close(self.lifeline)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 # nosec B310
        return answer.status == 200
    return False
