"""The limit: the same rows by the same two statements, driven at the same server by pgbench with no Python in front."""

import asyncio
import math
import os
import re
import shutil
from pathlib import Path

import psutil
from msgspec import Struct

from scrooge.cli.bench.sample import Seller, sample
from scrooge.cli.bench.script import script
from scrooge.cli.bench.usage import meter
from scrooge.postgres.cluster import EmbeddedError, binaries
from scrooge.postgres.database import PLANNER

PROGRESS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps, lat ([0-9.]+) ms stddev [0-9.]+, ([0-9]+) failed")
THREADS = 2


class LimitError(Exception):
    """pgbench did not do what it was told; the message has its words."""


class Limit(Struct, frozen=True):
    """What pgbench did once it was warm. CPU seconds by process."""

    payments: int
    seconds: float
    latency_ms: float
    cpu_seconds: dict[str, float]

    @property
    def per_second(self) -> float:
        return self.payments / self.seconds


def program() -> str:
    """Raises LimitError."""
    try:
        ours = binaries() / "pgbench"
        if ours.exists():
            return str(ours)
    except EmbeddedError:
        pass
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    found = shutil.which("pgbench") or (str(debian[-1]) if debian else None)
    if found is None:
        raise LimitError("there is no pgbench on this machine: it comes with PostgreSQL")
    return found


async def write_script(folder: Path, seller: Seller) -> Path:
    """Where the server's user may not read it, pgbench can: it runs as we do."""
    path = folder / "limit.sql"
    path.write_text(script(await sample(seller, ["bench-limit-one"])))
    return path


async def drive(
    url: str, path: Path, clients: int, seconds: float, warm: float, roots: dict[str, psutil.Process]
) -> Limit:
    """The script, over and over, by so many clients. What they do while their plans are made is not counted.

    Raises LimitError.
    """
    options = {**PLANNER, "role": "scrooge_app", "timezone": "UTC"}
    environment = {**os.environ, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in options.items())}
    process = await asyncio.create_subprocess_exec(
        program(), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(THREADS, clients)}",
        "--progress=1", f"--time={math.ceil(warm + seconds) + 1}", f"--file={path}", url,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[str] = []
    marks: list[tuple[float, float, float, dict[str, float]]] = []  # when, payments since the last, their latency, CPU
    used = meter({**roots, "pgbench": psutil.Process(process.pid)})
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        match = PROGRESS.match(said[-1])
        if match is not None:
            at, speed, latency = float(match[1]), float(match[2]), float(match[3])
            marks.append((at, speed * (at - (marks[-1][0] if marks else 0.0)), latency, used.used()))
    if await process.wait() or any((match := PROGRESS.match(line)) and match[4] != "0" for line in said):
        raise LimitError(f"pgbench ended with {process.returncode}: {''.join(said)[-2000:]}")
    return counted(marks, warm)


def counted(marks: list[tuple[float, float, float, dict[str, float]]], warm: float) -> Limit:
    """From the first mark that is warm to the last."""
    first = next((n for n, mark in enumerate(marks) if mark[0] >= warm), len(marks))
    if first >= len(marks) - 1:
        raise LimitError("pgbench was not at work long enough to be measured")
    start, later = marks[first], marks[first + 1 :]
    payments = sum(mark[1] for mark in later)
    cpu = {name: seconds - start[3][name] for name, seconds in later[-1][3].items()}
    latency = sum(mark[1] * mark[2] for mark in later) / max(1.0, payments)
    return Limit(round(payments), later[-1][0] - start[0], round(latency, 2), cpu)
