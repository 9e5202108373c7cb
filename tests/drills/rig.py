"""A whole Scrooge to do harm to: servers, serve, worker and sandbox as processes, and what they logged."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from scrooge.storage.migrate import migrate
from tests.births import born
from tests.conftest import sandbox, wait_for
from tests.drills.postgres import Server, primary_and_standby, until, url_of
from tests.world import World

WRONG_CLOCK = """
import time
right, right_ns = time.time, time.time_ns
time.time = lambda: right() + {0}
time.time_ns = lambda: right_ns() + {0} * 1_000_000_000
"""
SERVE = "from scrooge.app import run_serve; from scrooge.settings import load; run_serve(load(), 1)"
WORKER = "from scrooge.app import run_worker; from scrooge.settings import load; run_worker(load())"
CARDS = {
    "fine": {"stripe": "pm_card_visa", "adyen": "stored_visa"},
    "no money": {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds"},
}


class Rig(World):
    """A world on a primary and a standby. Every process logs into a file, for what only the logs can tell."""

    def __init__(self, primary: Server, standby: Server, sandbox_url: str, folder: Path) -> None:
        super().__init__(url_of(primary, standby), sandbox_url, str(folder / "data"))
        self.primary, self.standby, self.folder = primary, standby, folder
        self.log = folder / "scrooge.log"
        self.env |= {"SCROOGE_LOG_LEVEL": "info", "SCROOGE_PSP_TIMEOUT_SECONDS": "5"}
        for ours in ("SCROOGE_REQUESTS_AT_WORK", "SCROOGE_PSP_BREAKER"):  # A drill is about what operators run.
            del self.env[ours]
        self.cards: dict[str, str] = {}

    def start(self, name: str, *, off_by: float = 0, **env: str) -> None:
        """`off_by`: seconds that the process's clock is wrong by."""
        before = len(self.logged("worker_started"))
        env = {**self.env, **env}
        if off_by:
            code = WRONG_CLOCK.format(off_by) + (SERVE if name == "serve" else WORKER)
            with self.log.open("ab") as log:
                self.processes[name] = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=log)
        else:
            self.processes[name] = born(name, env=env, log=self.log)
        if name == "serve":
            wait_for(f"{self.api_url}/healthz", self.processes[name], 120)
        else:  # One that finds no database when it starts ends at once.
            until(lambda: len(self.logged("worker_started")) > before, 120)

    def restart(self, name: str, *, off_by: float = 0) -> None:
        self.processes[name].terminate()
        self.processes[name].wait(60)
        self.start(name, off_by=off_by)

    async def open(self) -> None:
        await super().open()
        for name, tokens in CARDS.items():
            self.cards[name] = await self.instrument(**tokens)

    async def steady(self) -> bool:
        """Is everybody ready to serve?"""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(2), self.http.get(f"{self.api_url}/readyz") as answer:
                return answer.status == 200
        return False

    def logged(self, event: str) -> list[dict]:
        needle = f'"event":"{event}"'.encode()
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        return [msgspec.json.decode(line) for line in lines if needle in line]

    def errors_after_asking(self) -> list[dict]:
        """Requests that were answered 5xx although a PSP had been asked in them: there must never be one."""
        answers = self.logged("psp_answered")
        assert answers, "the log tells nothing"
        asked = {line["request_id"] for line in answers if "request_id" in line}
        return [r for r in self.logged("request") if r["status"] >= 500 and r["request_id"] in asked]


@contextlib.asynccontextmanager
async def rig(disk: Path | None = None) -> AsyncIterator[Rig]:
    with primary_and_standby(disk) as (primary, standby), tempfile.TemporaryDirectory(prefix="scrooge-rig-") as place:
        await migrate(url_of(primary, standby))
        with sandbox(latency_ms=10) as psps:
            world = Rig(primary, standby, psps, Path(place))
            try:
                await world.open()
                yield world
            finally:
                await world.close()
