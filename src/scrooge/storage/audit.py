"""The money audit: do the rows agree with each other, the books with the rows, and both with the PSPs?

Everything is read in one snapshot of a read-only transaction. Rows that should agree are compared in SQL;
what the domain computes is computed again, payment by payment, in bounded memory.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct

from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment, Tally, status_of, tally
from scrooge.postgres.database import load, run
from scrooge.postgres.migrate import connect
from scrooge.postgres.rows import encoded, public
from scrooge.storage.audit_fees import Versions, wrong_fees
from scrooge.storage.findings import FAULTS, SHOWN, WRONG_MAX, Report, find
from scrooge.storage.payments import payment_of
from scrooge.storage.truth import TruthLine, compare_truth, keep_truth

Q = load(Path(__file__).with_suffix(".sql"))


async def audit(
    url: str,
    expected_seconds: Mapping[tuple[str, str], int],
    truth: AsyncIterator[TruthLine] | None = None,
) -> Report:
    """Runs the whole audit. `expected_seconds` says how long (connector, operation) may stay pending.

    Raises DatabaseUnavailable, and whatever reading `truth` raises.
    """
    connection = await connect(url)
    try:
        await connection.execute("SET ROLE scrooge_app; SET jit = off; SET statement_timeout = 0")
        report = Report(findings=[])
        read_at = None
        if truth is not None:
            # Before the snapshot: what a PSP did by now, we had recorded by then.
            read_at = await connection.fetchval("SELECT now()")
            await keep_truth(connection, truth)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await count(connection, report, expected_seconds)
            await compare(connection, report)
            doubles = await doubles_in_books(connection, report)
            if read_at is not None:
                await compare_truth(connection, report, read_at, doubles)
            await recompute(connection, report)
    finally:
        await connection.close(timeout=5)
    report.ok = not any(getattr(report, name) for name in FAULTS)
    return report


async def count(
    connection: asyncpg.Connection, report: Report, expected_seconds: Mapping[tuple[str, str], int]
) -> None:
    expected = [
        {"connector": connector, "operation": operation, "seconds": seconds}
        for (connector, operation), seconds in expected_seconds.items()
    ]
    row = await run(connection, Q["counted"], encoded(expected))
    report.payments, report.unresolved, report.breaks = row


async def compare(connection: asyncpg.Connection, report: Report) -> None:
    for query in ("unbalanced_journals", "ledger_differs", "stored_value_differs", "events_missing", "splits_differ"):
        setattr(report, query, find(report, query, await run(connection, Q[query], SHOWN)))


async def doubles_in_books(connection: asyncpg.Connection, report: Report) -> set[str]:
    """The payments that our own rows show as taken more than once."""
    rows = await run(connection, Q["doubles_in_books"], WRONG_MAX)
    report.double_charges = find(report, "doubles_in_books", rows)
    return {public("pay", row["payment_id"]) or "" for row in rows}


# --- what the domain computes, computed again -----------------------------------------------


class Counters(Struct, frozen=True):
    """The counters that an authorization's row keeps."""

    id: str
    operation: Operation
    authorized_minor: int
    captured_minor: int
    voided_minor: int
    refunded_minor: int
    held_minor: int
    held_refund_minor: int


COUNTERS = msgspec.json.Decoder(list[Counters])


async def recompute(connection: asyncpg.Connection, report: Report) -> None:
    """Reads every payment through a cursor; a few hundred are in memory at a time."""
    versions = Versions(connection, Q)
    async for row in connection.cursor(Q["payments"].sql, prefetch=500):
        kept = COUNTERS.decode(row["tries"]) if row["tries"] else []
        p = payment_of(row)
        wrong_status, wrong_counters = judged(p, row["status"], kept)
        await versions.read(p)
        wrong = wrong_fees(p, versions.known)
        report.fees_differ += wrong is not None
        report.statuses_differ += wrong_status is not None
        report.counters_differ += wrong_counters is not None
        for sentence in (wrong_status, wrong_counters, wrong):
            if sentence is not None and len(report.findings) < SHOWN:
                report.findings.append(sentence)


def judged(p: Payment, status: str, kept: list[Counters]) -> tuple[str | None, str | None]:
    """What is wrong with a payment's status, and with the counters on its authorizations."""
    wrong_status = wrong_counters = None
    if p.tenders:  # What it is follows from its parts, each of which is looked at.
        return None, f"{p.id}: a payment with tenders has attempts of its own" if kept else None
    if status != status_of(p):
        wrong_status = f"{p.id}: the status is kept as {status}, the attempts say {status_of(p)}"
    for row, attempt in zip(kept, p.attempts, strict=True):
        counted = Tally(*msgspec.structs.astuple(row)[2:])
        due = tally(p, attempt) if attempt.operation is Operation.AUTHORIZE else Tally()
        if counted != due:
            wrong_counters = f"{attempt.reference}: the row counts {counted}, the attempts say {due}"
    if not kept and p.failure is None:
        wrong_counters = f"{p.id}: a payment without an attempt"
    return wrong_status, wrong_counters
