"""What must be true after every drill: faults off, all drained, and then the money is right and nothing told was lost."""

import asyncio
import time
from typing import Any

import asyncpg

from scrooge.cli.database import audited
from scrooge.ids import hex_of
from scrooge.postgres.migrate import connect
from scrooge.storage.findings import Report
from tests.drills.rig import Rig
from tests.drills.shoppers import Told

FURTHER = ("authorized", "captured", "partially_refunded", "refunded")
STATES = {"succeeded": "approved"}  # what is told of a capture or refund, as its attempt has it
DRAIN_SECONDS = 120


async def drained(rig: Rig) -> Report:
    """Until nothing is open: lost answers are asked about, notifications read."""
    await rig.no_faults()
    end = time.monotonic() + DRAIN_SECONDS
    while True:
        report = await audited(rig.database_url, rig.sandbox_url)
        if time.monotonic() > end or (report.ok and not report.unresolved and not report.reversals_unheard):
            return report
        await asyncio.sleep(0.5)


async def verdict(rig: Rig, told: Told) -> dict[str, Any]:
    """Violations are sentences; an empty list is what a drill is for."""
    report = await drained(rig)
    kept = await everything(rig.database_url)
    wrong = [] if report.ok else [f"check is not ok: {report.findings}"]
    if report.unresolved:
        wrong.append(f"{report.unresolved} attempts are unresolved")
    for payment, status in told.certain.items():
        now = kept.get(hex_of(payment))
        if now is None:
            wrong.append(f"{payment} was answered {status}, and is gone")
        elif not follows(status, now):
            wrong.append(f"{payment} was answered {status}, and is {now}")
    wrong += [f"{payment} was answered 202, and is gone" for payment in told.doubtful if hex_of(payment) not in kept]
    wrong += [f"5xx after a PSP was asked: {line}" for line in rig.errors_after_asking()]
    if told.given_up:
        wrong.append(f"{told.given_up} requests never got an answer")
    if "internal_error" in told.codes:
        wrong.append(f"{told.codes['internal_error']} internal errors: {rig.logged('internal_error')[:3]}")
    return {"ok": not wrong, "violations": wrong[:20], "payments": report.payments, "breaks": report.breaks}


def follows(before: str, now: str) -> bool:
    """Money goes on; an outcome that was told as certain never becomes another."""
    if before in FURTHER and now in FURTHER:
        return FURTHER.index(before) <= FURTHER.index(now)
    return before == "pending" or STATES.get(before, before) == now


async def everything(url: str) -> dict[str, str]:
    """The status of each payment, and the state of each attempt, by the number in its id."""
    connection: asyncpg.Connection = await connect(url)
    try:
        rows = await connection.fetch("SELECT id, status FROM payments UNION ALL SELECT id, state FROM attempts")
        return {row["id"].hex: row["status"] for row in rows}
    finally:
        await connection.close()
