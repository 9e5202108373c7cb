"""Adjustments of stored value as rows: what was given or taken back for no order, and who said so."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import key_of, microseconds, public

Q = load(Path(__file__).with_suffix(".sql"))


class Adjustment(Struct, frozen=True, kw_only=True):
    """`direction` is up or down, `state` proposed, applied or rejected. Minor units of the account's currency."""

    id: str
    account: str
    direction: str
    minor: int
    reference: str
    reason: str
    state: str
    proposed_by: str
    proposed_at: int = 0  # Unix microseconds
    decided_by: str | None = None
    decided_at: int | None = None


def adjustment_of(row: Any) -> Adjustment:
    return Adjustment(
        id=public("adj", row["id"]) or "", account=public("sva", row["account_id"]) or "", direction=row["direction"],
        minor=row["minor"], reference=row["reference"], reason=row["reason"], state=row["state"],
        proposed_by=public("key", row["proposed_by"]) or "", proposed_at=microseconds(row["proposed_at"]) or 0,
        decided_by=public("key", row["decided_by"]), decided_at=microseconds(row["decided_at"]),
    )  # fmt: skip


async def add(connection: Any, a: Adjustment) -> Adjustment | None:
    """None when the account has one with this reference."""
    row = await run(
        connection, Q["add"], *key_of(a.id), hex_of(a.account), a.direction, a.minor, a.reference, a.reason, a.state,
        hex_of(a.proposed_by),
    )  # fmt: skip
    return None if row is None else adjustment_of(row)


async def read(db: Any, adjustment_id: str) -> Adjustment | None:
    row = await run(db, Q["one"], *key_of(adjustment_id))
    return None if row is None else adjustment_of(row)


async def of_reference(db: Any, account_id: str, reference: str) -> Adjustment | None:
    row = await run(db, Q["of_reference"], *key_of(account_id), reference)
    return None if row is None else adjustment_of(row)


async def hold(connection: Any, adjustment_id: str) -> Adjustment:
    """Within a transaction: nobody else can decide until it ends."""
    return adjustment_of(await run(connection, Q["hold"], *key_of(adjustment_id)))


async def decide(connection: Any, adjustment_id: str, state: str, key: str) -> Adjustment | None:
    """None when it had been decided before."""
    row = await run(connection, Q["decide"], *key_of(adjustment_id), state, hex_of(key))
    return None if row is None else adjustment_of(row)
