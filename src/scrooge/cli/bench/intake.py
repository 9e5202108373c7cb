"""Taking in a batch: how many lines a second are uploaded and checked, and what that costs."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scrooge.cli.batch.client import Client
from scrooge.cli.bench.crew import Crew
from scrooge.cli.bench.machine import described as machine
from scrooge.cli.bench.server import Server, described, fresh_database, postmaster, session
from scrooge.cli.bench.shop import sell
from scrooge.cli.bench.usage import meter, rss_mb
from scrooge.cli.demo.ports import free_ports
from scrooge.ids import BUCKETS, encode, hex_of, new_id, new_number

HOST = "127.0.0.1"
WATCH_SECONDS = 0.2
COLUMNS = ("bucket", "id", "merchant_id", "livemode", "caller_id", "customer", "instrument_id", "use", "status",
           "max_minor", "currency", "consent_at")  # fmt: skip


def run(where: Server, lines: int, say: Callable[[str], None]) -> dict[str, Any]:
    return asyncio.run(measured(where, lines, say))


async def measured(where: Server, lines: int, say: Callable[[str], None]) -> dict[str, Any]:
    async with fresh_database(where, "intake") as url:
        seller, key = await sell(url)
        say(f"{lines:,} mandates, and a file with a line for each")
        numbers = [new_number(n % BUCKETS) for n in range(lines)]
        await agree(url, seller.merchant, seller.caller, numbers)
        file = where.folder / "renewals.ndjson"
        size = await asyncio.to_thread(write, file, numbers)
        [port] = free_ports(HOST, 1)
        crew = Crew(where.folder, {**os.environ, "SCROOGE_DATABASE_URL": url, "SCROOGE_EMBEDDED": "1"})
        try:
            api = f"http://{HOST}:{port}"
            serve = ("scrooge", "serve", "--port", str(port))
            await asyncio.to_thread(crew.start, "serve", *serve, ready=f"{api}/readyz")
            say(f"uploading {size / 1e6:,.0f} MB")
            found = await uploaded(where, crew, Client(api, key), file, size, lines)
            return {**found, "postgres": await described(url), "machine": machine(where.folder)}
        finally:
            await asyncio.to_thread(crew.stop)


async def uploaded(where: Server, crew: Crew, client: Client, file: Path, size: int, lines: int) -> dict[str, Any]:
    master = postmaster(where)
    roots = crew.processes()
    used = meter(roots if master is None else {**roots, "postgres": master})
    rss: list[float] = []

    async def watch() -> None:
        while True:
            rss.append(rss_mb(roots["serve"]))
            await asyncio.sleep(WATCH_SECONDS)

    async with client as api:
        headers = {"Idempotency-Key": "bench"}
        made = await api.ask("POST", "/v1/batches", json={"name": "bench"}, headers=headers)
        watching = asyncio.create_task(watch())
        started = time.monotonic()
        batch = await api.upload(made["id"], file, size, lambda _: None)
        seconds = time.monotonic() - started
        taken_in = rss.copy()
        again = time.monotonic()
        await api.upload(made["id"], file, size, lambda _: None)
        repeated = time.monotonic() - again
        watching.cancel()
    crew.require_alive()
    counts = batch["counts"]
    return {
        "lines": lines,
        "seconds": round(seconds, 2),
        "lines_per_second": round(lines / seconds),
        "repeated_lines_per_second": round(lines / repeated),
        "cpu_us_per_line": {name: round(cpu * 1e6 / lines, 1) for name, cpu in used.used().items()},
        "rss_mb": {"start": round(rss[0], 1), "eighths": eighths(taken_in), "most": round(max(rss), 1)},
        "ok": (batch["status"], counts["valid"], counts["rejected"]) == ("ready", lines, 0),
    }


def eighths(sizes: list[float]) -> list[float]:
    """As it was after each eighth of the time."""
    return [round(sizes[len(sizes) * n // 8 - 1], 1) for n in range(1, 9)] if sizes else []


async def agree(url: str, merchant: str, caller: str, numbers: list[int]) -> None:
    """Mandates that nobody paid for first."""
    instrument, now = hex_of(new_id("ins", 0)), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    shared = f"{hex_of(merchant)}\tf\t{hex_of(caller)}\tpayer\t{instrument}\trecurring\tactive\t9900\tEUR\t{now}\n"

    async def rows() -> Any:
        for start in range(0, len(numbers), 10_000):
            part = numbers[start : start + 10_000]
            yield "".join(f"{n % BUCKETS}\t{n:032x}\t{shared}" for n in part).encode()

    async with session(url) as connection:
        await connection.copy_to_table("mandates", source=rows(), columns=COLUMNS, format="text")
        await connection.execute("ANALYZE mandates")


def write(file: Path, numbers: list[int]) -> int:
    """How many bytes."""
    with file.open("w") as out:
        out.writelines(as_sent(numbers))
    return file.stat().st_size


def as_sent(numbers: list[int]) -> Iterator[str]:
    for line, number in enumerate(numbers):
        name = f"sub_{line:07d}:2026-12"
        value = f"{4 + line % 9}.99"
        yield (f'{{"custom_id":"{name}","reference":"{name}","amount":{{"value":"{value}","currency":"EUR"}},'
               f'"mandate":"{encode("man", number)}"}}\n')  # fmt: skip
