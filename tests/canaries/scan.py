"""Looks for the canaries wherever anything is kept: rows, files of both servers, logs, answers, metrics, webhooks, memory.

The vault's own memory is not looked into: it has to know the cards. Neither is the sandbox's, which plays the PSPs.
"""

import multiprocessing
import signal
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from scrooge.sweep.files import in_file, in_memory
from scrooge.sweep.finder import Hit, Planted
from scrooge.sweep.rows import in_database
from tests.canaries.deck import Canary
from tests.canaries.stage import Stage

JOBS = 2


def finder(cards: Iterable[Canary], codes_seen: Iterable[str] = (), tokens: Stage | None = None) -> Planted:
    cards = list(cards)
    return Planted(
        {c.label: c.number for c in cards} | (tokens.numbers if tokens else {}),
        {f"{c.label}: holder": c.holder for c in cards} | (tokens.cryptograms if tokens else {}),
        {f"{c.label}: code": c.code for c in cards if c.code not in codes_seen},
    )


def look_into(job: tuple[Planted, str]) -> list[Hit]:
    planted, what = job
    if what.startswith("memory:"):
        return in_memory(planted, int(what.removeprefix("memory:")))
    try:
        path = Path(what)
        return in_file(planted, path, postgres=any(p in path.parts for p in ("base", "global", "pg_wal")))
    except FileNotFoundError:
        return []


async def told_to_anybody(s: Stage) -> list[Hit]:
    """Rows of both databases, logs, answers, metrics and webhooks: found anywhere, each with where it is."""
    everything = finder(s.used.values(), tokens=s)
    hits: list[Hit] = []
    for url, name in ((s.world.database_url, "core"), (s.house.database_url, "vault")):
        connection = await asyncpg.connect(url)
        found, _ = await in_database(connection, everything)
        await connection.close()
        hits += [Hit(h.what, h.how, f"{name} row {h.where}") for h in found]
    await keep_what_is_not_on_disk(s)
    for path in files(s.world.logs):
        hits += in_file(everything, path)
    return hits


async def left_behind(s: Stage) -> list[Hit]:
    """Both servers' files, and the memory of the core's processes."""
    everything = finder(s.used.values(), tokens=s)
    for url in (s.world.database_url, s.house.database_url):
        await s.sql(url, "CHECKPOINT")
    jobs = [(everything, str(path)) for path in files(s.folder) if s.world.logs not in path.parents]
    # What somebody sends to the core, it has read before it refuses it.
    seen = {s.used[label].code for label in s.strays}
    unseen = finder((c for c in s.used.values() if c.label not in s.strays), seen)
    processes = [p for p in s.world.processes.values() if p.poll() is None]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    hits: list[Hit] = []
    try:
        jobs += [(unseen, f"memory:{process.pid}") for process in processes]
        with multiprocessing.get_context("spawn").Pool(JOBS) as pool:
            for found in pool.imap_unordered(look_into, jobs[::-1]):
                hits += found
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    return hits


def files(folder: Path) -> list[Path]:
    """All that is on disk, but for the databases that every cluster has and nobody of ours writes to."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0):
        parts = path.parts
        other = "base" in parts and parts[parts.index("base") + 1 :][:1] and int(parts[parts.index("base") + 1]) < 16384
        if path.is_file() and not path.is_symlink() and not other and path.stat().st_size:
            found.append(path)
    return found


async def keep_what_is_not_on_disk(s: Stage) -> None:
    """Metrics and the webhooks' bodies, beside the logs."""
    for name, url in (("core", s.world.api_url), ("vault", s.house.url)):
        async with s.world.http.get(f"{url}/metrics") as answer:
            (s.world.logs / f"{name}.metrics").write_bytes(await answer.read())
    bodies = [repr(headers).encode() + b"\n" + body for headers, body in s.receiver.got]
    (s.world.logs / "webhooks").write_bytes(b"\n".join(bodies))


CONTROL = "control"
TOLD = ("core row canary_control", "vault row canary_control", "/serve.log")
LEFT = ("/core/postgres/base/", "/vault/postgres/base/", "/core/postgres/pg_wal/", "/vault/postgres/pg_wal/")


async def control_everywhere(s: Stage) -> None:
    """So that a search that finds nothing means something: a number where there must be none."""
    number = s.canary(CONTROL).number
    grouped = " ".join(number[n : n + 4] for n in range(0, 16, 4))
    for url in (s.world.database_url, s.house.database_url):
        table = "CREATE TABLE canary_control (note jsonb)"
        await s.sql(url, table, f'INSERT INTO canary_control VALUES (\'{{"deep": ["{grouped}"]}}\')')
    with (s.world.logs / "serve.log").open("a") as file:
        file.write(f'{{"event": "request", "body": "card[number]={number}"}}\n')


def blind(hits: list[Hit], places: Iterable[str]) -> list[str]:
    """Where the control was not found."""
    found = {hit.where for hit in hits if hit.what == CONTROL}
    return [place for place in places if not any(place in where for where in found)]


def told(hits: list[Hit]) -> list[str]:
    """For whoever has to find the line of code; the control is no find."""
    return sorted({f"{h.what}: {h.how}, in {h.where} at {h.at}" for h in hits if h.what != CONTROL})
