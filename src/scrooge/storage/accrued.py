"""Expected fees as the books have them, for reports. Read, never written here."""

from pathlib import Path
from typing import Any

from scrooge.ids import hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import moment
from scrooge.routing.reported import Captured, Part, Posted
from scrooge.storage.policies import Desk

Q = load(Path(__file__).with_suffix(".sql"))


async def posted(db: Any, desk: Desk, first: int, end: int) -> list[Posted]:
    """From `first` until before `end`, Unix microseconds."""
    rows = await run(db, Q["fees"], hex_of(desk.merchant), desk.livemode, moment(first), moment(end))
    found = []
    for r in rows:
        component, account = r["account"].split(".", 3)[2:]  # expenses.psp_fees.{component}.{account}
        found.append(Posted(part_of(r, account), r["country"], component, r["minor"]))
    return found


async def captured(db: Any, desk: Desk, first: int, end: int) -> list[Captured]:
    rows = await run(db, Q["captured"], hex_of(desk.merchant), desk.livemode, moment(first), moment(end))
    return [Captured(part_of(r, r["account"]), r["country"], r["captures"], r["minor"]) for r in rows]


def part_of(row: Any, account: str) -> Part:
    return Part(month=row["month"], account=account, brand=row["brand"], currency=row["currency"])
