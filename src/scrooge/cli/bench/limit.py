"""The limit: the same rows by the same two statements, driven at the same server by pgbench with no Python in front."""

import asyncio
import os
import re
import resource
import shutil
from pathlib import Path

from msgspec import Struct

from scrooge.cli.bench.sample import Seller, sample
from scrooge.cli.bench.script import script
from scrooge.storage.cluster import EmbeddedError, binaries
from scrooge.storage.database import PLANNER

TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
DONE = re.compile(r"^number of transactions actually processed: ([0-9]+)", re.MULTILINE)
FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)
LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
THREADS = 2


class LimitError(Exception):
    """pgbench did not do what it was told; the message has its words."""


class Limit(Struct, frozen=True):
    """One round of pgbench."""

    per_second: float
    payments: int
    latency_ms: float
    cpu_seconds: float


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
    path.write_text(script(await sample(seller, "bench-limit-00000001")))
    return path


async def drive(url: str, path: Path, clients: int, seconds: float) -> Limit:
    """The script, over and over, by so many clients. Raises LimitError."""
    options = {**PLANNER, "role": "scrooge_app", "timezone": "UTC"}
    environment = {**os.environ, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in options.items())}
    before = spent()
    process = await asyncio.create_subprocess_exec(
        program(), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(THREADS, clients)}",
        f"--time={max(1, round(seconds))}", f"--file={path}", url,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    said = out.decode(errors="replace")
    if process.returncode or FAILED.search(said) is None or said_number(FAILED, said):
        raise LimitError(f"pgbench ended with {process.returncode}: {err.decode(errors='replace')[-2000:]}")
    return Limit(said_number(TPS, said), int(said_number(DONE, said)), said_number(LATENCY, said), spent() - before)


def said_number(pattern: re.Pattern[str], said: str) -> float:
    match = pattern.search(said)
    if match is None:
        raise LimitError(f"pgbench said nothing of {pattern.pattern}: {said[-1000:]}")
    return float(match[1])


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
