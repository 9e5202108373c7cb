"""A command of Scrooge under a sampling profiler: where does the CPU time of this process go?

`python -m scrooge.cli.bench.sampled serve ...` runs as `scrooge serve ...` does. SIGUSR1 begins to sample, SIGUSR2 ends
and writes the stacks, one a line with its count, as flame graphs want them. Samples are of CPU time, not of waiting;
time in compiled code counts for the Python function that called it.
"""

import asyncio
import os
import runpy
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import psutil

VARIABLE = "SCROOGE_BENCH_PROFILE"
EVERY_SECONDS = 0.001  # of CPU; the kernel's own tick is coarser
DEPTH_MAX = 60
QUIET_SECONDS = 120.0
T = TypeVar("T")


class Sampler:
    """Counts stacks while it is on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{sys.argv[1]}-{os.getpid()}.txt"
        self.stacks: Counter[tuple[str, ...]] = Counter()

    def begin(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def end(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = self.path.with_suffix(".new")
        lines = (f"{';'.join(stack)} {count}\n" for stack, count in self.stacks.most_common())
        unfinished.write_text("".join(lines))
        unfinished.replace(self.path)

    def take(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None and len(stack) < DEPTH_MAX:
            code = frame.f_code
            stack.append(f"{place_of(code.co_filename)}:{code.co_qualname}")
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1


def place_of(filename: str) -> str:
    """A file as its package names it: scrooge/api/payments.py, aiohttp/client.py, asyncio/tasks.py."""
    for root in ("/site-packages/", "/src/", "/python3."):
        _, found, rest = filename.rpartition(root)
        if found:
            return rest.partition("/")[2] if root == "/python3." else rest
    return filename.rpartition("/")[2]


async def around(process: psutil.Process, folder: Path, work: Awaitable[T], alive: Callable[[], None]) -> T:
    """What comes of `work`, while a process that runs under this is sampled; its stacks are in the folder then.

    Raises TimeoutError when it does not write them.
    """
    process.send_signal(signal.SIGUSR1)
    found = await work
    process.send_signal(signal.SIGUSR2)
    async with asyncio.timeout(QUIET_SECONDS):
        while not written(folder):
            alive()
            await asyncio.sleep(0.05)
    return found


def written(folder: Path) -> list[Path]:
    """The stacks that are there, whole."""
    return list(folder.glob("*-[0-9]*.txt"))


def install(sampler: Sampler) -> None:
    signal.signal(signal.SIGPROF, sampler.take)
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, sampler.end)
    for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2):
        signal.siginterrupt(number, False)


if __name__ == "__main__":
    install(Sampler(Path(os.environ[VARIABLE])))
    runpy.run_module("scrooge", run_name="__main__")
