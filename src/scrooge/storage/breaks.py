"""Breaks as operators see them, and what has been in doubt for so long that it becomes one."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, key_of, microseconds, public, uuid_of
from scrooge.storage.directory import note

Q = load(Path(__file__).with_suffix(".sql"))


class Break(Struct, frozen=True, kw_only=True):
    """Moments are Unix microseconds."""

    id: str
    kind: str
    payment: str | None
    attempt: str | None
    connector_account: str | None
    detail: dict[str, Any]
    opened_at: int
    closed_at: int | None
    closed_by: str | None
    note: str | None


class Doubt(Struct, frozen=True, kw_only=True):
    """So many attempts of one connector account in one state, so old: `age` is how many of the bounds they reached."""

    account: str
    state: str
    age: int
    attempts: int
    oldest_seconds: float


def break_of(row: Any) -> Break:
    return Break(
        id=public("brk", row["id"]) or "",
        kind=row["kind"],
        payment=public("pay", row["payment_id"]),
        attempt=public("att", row["attempt_id"]),
        connector_account=public("con", row["connector_account_id"]),
        detail=msgspec.json.decode(row["details"]),
        opened_at=microseconds(row["opened_at"]) or 0,
        closed_at=microseconds(row["closed_at"]),
        closed_by=row["closed_by"],
        note=row["note"],
    )


async def page(
    db: Database,
    merchant: str,
    livemode: bool,
    still_open: bool | None,
    kind: str | None,
    before: str | None,
    limit: int,
) -> list[Break]:
    rows = await run(db, Q["page"], hex_of(merchant), livemode, still_open, kind, uuid_of(before), limit)
    return [break_of(row) for row in rows]


async def read(db: Database, break_id: str, merchant: str, livemode: bool) -> Break | None:
    row = await run(db, Q["one"], *key_of(break_id), hex_of(merchant), livemode)
    return None if row is None else break_of(row)


async def close(db: Database, break_id: str, actor: str, words: str) -> Break | None:
    """None when it had been closed before."""
    async with db.transaction() as connection:
        row = await run(connection, Q["close"], *key_of(break_id), actor, words)
        if row is None:
            return None
        await note(connection, actor, "break_closed", break_id, {"note": words})
    return break_of(row)


async def ages(db: Database, bounds: list[int]) -> list[Doubt]:
    return [
        Doubt(
            account=public("con", row["account"]) or "",
            state=row["state"],
            age=row["age"],
            attempts=row["attempts"],
            oldest_seconds=row["oldest_seconds"],
        )
        for row in await run(db, Q["ages"], bounds)
    ]


async def overdue(
    db: Database, pending: dict[str, dict[str, int]], seconds: float, limit: int
) -> list[tuple[str, str]]:
    """(payment, attempt) in doubt for so long, without a break. `pending`: what is usual, by account and operation."""
    accounts = [{"account": hex_of(account), "pending": usual} for account, usual in pending.items()]
    rows = await run(db, Q["overdue"], encoded(accounts), float(seconds), limit)
    return [(public("pay", row["payment_id"]) or "", public("att", row["id"]) or "") for row in rows]


async def close_resolved(db: Database) -> int:
    return len(await run(db, Q["close_resolved"]))
