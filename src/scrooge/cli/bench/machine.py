"""The machine that a figure was measured on: a figure without it means nothing."""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import psutil

WRITES = 100
BLOCK = bytes(8192)


def described(folder: Path) -> dict[str, Any]:
    """CPU, memory, kernel, Python, and how long the disk under `folder` takes to be sure."""
    return {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 1_000_000,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "python_loop_ms": loop_ms(),
        "load_before": round(os.getloadavg()[0], 2),
        "filesystem": filesystem(folder),
        "fsync_ms": fsync_ms(folder),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def loop_ms() -> float:
    """How fast this Python is: the best time of a fixed task. One built without profiling takes half as long again."""
    took = []
    for _ in range(5):
        started = time.process_time()
        seen: dict[str, int] = {}
        for number in range(100_000):
            name = f"n{number & 255}"
            seen[name] = seen.get(name, 0) + number
        took.append((time.process_time() - started) * 1000)
    return round(min(took), 1)


def filesystem(folder: Path) -> str:
    """Its kind: on tmpfs an fsync is a no-op, and every figure a fiction."""
    mounts = [m for m in psutil.disk_partitions(all=True) if folder.is_relative_to(m.mountpoint)]
    return max(mounts, key=lambda m: len(m.mountpoint)).fstype if mounts else "unknown"


def fsync_ms(folder: Path) -> dict[str, float]:
    """The median and the 99th percentile of a write of 8 kB with fdatasync, which is how PostgreSQL commits."""
    took = []
    path = folder / "fsync"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, BLOCK * WRITES)
        os.fsync(descriptor)
        for number in range(WRITES):
            started = time.perf_counter()
            os.pwrite(descriptor, BLOCK, number * len(BLOCK))
            os.fdatasync(descriptor)
            took.append((time.perf_counter() - started) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return {"p50": round(statistics.median(took), 3), "p99": round(statistics.quantiles(took, n=100)[98], 3)}
