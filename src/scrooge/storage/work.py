"""What workers claim: rows that exist already, bounded, each handed to one worker only."""

from pathlib import Path
from typing import Any

from scrooge.ids import hex_of
from scrooge.storage.database import Database, load, run
from scrooge.storage.rows import key_of, public

Q = load(Path(__file__).with_suffix(".sql"))


async def claim_attempts(db: Database, limit: int, first_seconds: float, most_seconds: float) -> list[tuple[str, str]]:
    """(payment, attempt) to ask about. Questions are spaced from `first_seconds`, doubling, to `most_seconds`."""
    rows = await run(db, Q["claim_attempts"], limit, first_seconds, most_seconds)
    return [(public("pay", r["payment_id"]) or "", public("att", r["id"]) or "") for r in rows]


async def claim_attempt(db: Database, payment_id: str, attempt_id: str) -> bool:
    """May this attempt be asked about now? Counts the question, as every claim does."""
    return await run(db, Q["claim_attempt"], *key_of(payment_id), hex_of(attempt_id)) is not None


async def make_partitions(db: Database, months_ahead: int) -> int:
    row = await run(db, Q["make_partitions"], months_ahead)
    return int(row[0])


async def forget_keys(db: Database, limit: int) -> int:
    """Idempotency keys past their retention; says how many went."""
    return int(str(await run(db, Q["forget_keys"], limit)).removeprefix("DELETE "))


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))


async def stop_asking(db: Database, payment_id: str, attempt_id: str) -> None:
    """An approved authorization with nothing left to lapse needs no further question."""
    await run(db, Q["stop_asking"], *key_of(payment_id), hex_of(attempt_id))
