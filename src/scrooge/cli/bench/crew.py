"""The bench's processes, each apart: serve, worker, a PSP, and the load."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from scrooge.cli.bench.load import Plan, Seen
from scrooge.cli.demo.crew import answers
from scrooge.cli.lifeline import VARIABLE

READY_SECONDS = 60.0
STOP_SECONDS = 35.0


class CrewError(Exception):
    """A process of the bench does not do its work; the message has its last words."""


class Crew:
    """Who runs now, with the files that they log to. Everybody ends with us, however we end."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.lifeline, self.ours = os.pipe()

    def start(self, name: str, *arguments: str, ready: str, **more: str) -> None:
        """`python -m ARGUMENTS`, until `ready` answers. Raises CrewError."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment, **more, VARIABLE: str(self.lifeline)},
                pass_fds=(self.lifeline,),
                start_new_session=True,
            )
        until = time.monotonic() + READY_SECONDS
        while ready and not answers(ready):
            if self.children[name].poll() is not None or time.monotonic() > until:
                raise CrewError(f"{name} did not start:\n{self.last_words(name)}")
            time.sleep(0.05)

    def last_words(self, name: str) -> str:
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-8:])

    def processes(self) -> dict[str, psutil.Process]:
        return {name: psutil.Process(child.pid) for name, child in self.children.items()}

    def require_alive(self) -> None:
        """Raises CrewError: a figure of a process that died is not a figure."""
        for name, child in self.children.items():
            if child.poll() is not None:
                raise CrewError(f"{name} ended with {child.returncode}:\n{self.last_words(name)}")

    def stop(self) -> None:
        """Who asks first, who is asked last."""
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        os.close(self.ours)
        os.close(self.lifeline)


class Loader:
    """A load that is ready to go: its start-up is not measured."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def go(self) -> Seen:
        """Raises CrewError."""
        out, err = await self.process.communicate(b"go\n")
        if self.process.returncode:
            raise CrewError(f"the load ended with {self.process.returncode}: {err.decode(errors='replace')[-2000:]}")
        return msgspec.msgpack.decode(out, type=Seen)


async def loader(plan: Plan, *program: str) -> Loader:
    """Raises CrewError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *(program or ("scrooge.cli.bench.load",)),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(plan) + b"\n")
    await process.stdin.drain()
    if await process.stdout.readline() != b"ready\n":
        _, err = await process.communicate()
        raise CrewError(f"the load did not start: {err.decode(errors='replace')[-2000:]}")
    return Loader(process)
