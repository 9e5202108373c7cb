"""Our attempts against what the PSPs say happened, which the sandbox tells line by line."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
from msgspec import Struct, structs

from scrooge.postgres.database import load, run
from scrooge.storage.findings import SHOWN, WRONG_MAX, Report, find

Q = load(Path(__file__).parent / "temporary" / "truth.sql")
OURS = re.compile(r"pay_[0-9A-HJKMNP-TV-Z]{26}-[0-9]{1,5}")
BATCH = 1_000


class TruthLine(Struct, frozen=True):
    """One effect at a PSP; `minor` counts ISO 4217 minor units."""

    n: int
    reference: str
    operation: str
    psp_reference: str
    minor: int
    currency: str
    outcome: str


async def keep_truth(connection: asyncpg.Connection, truth: AsyncIterator[TruthLine]) -> None:
    """Copies the PSPs' truth into a table of this session, batch by batch."""
    await run(connection, Q["truth_table"])
    batch: list[tuple[Any, ...]] = []
    async for line in truth:
        batch.append((*structs.astuple(line), OURS.fullmatch(line.reference) is not None))
        if len(batch) == BATCH:
            await connection.copy_records_to_table("truth", records=batch)
            batch = []
    await connection.copy_records_to_table("truth", records=batch)
    await connection.execute("CREATE INDEX ON truth (reference); ANALYZE truth")


async def compare_truth(connection: asyncpg.Connection, report: Report, read_at: Any, doubles: set[str]) -> None:
    """`read_at` is when the truth was read; `doubles` the payments that our rows show as double."""
    report.truth_lines, report.foreign = await run(connection, Q["truth_counts"])
    for query in ("lost", "amount_mismatches", "reversals_unheard"):
        setattr(report, query, find(report, query, await run(connection, Q[query], SHOWN)))
    report.phantoms = find(report, "phantoms", await run(connection, Q["phantoms"], SHOWN, read_at))
    rows = await run(connection, Q["doubles_at_psp"], WRONG_MAX)
    known = sum(row["payment"] in doubles for row in rows)
    report.double_charges += find(report, "doubles_at_psp", rows) - known
