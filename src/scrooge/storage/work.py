"""What workers claim: rows that exist already, bounded, each handed to one worker only."""

from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, key_of, public

Q = load(Path(__file__).with_suffix(".sql"))


class Turn(Struct, frozen=True):
    """What may be asked of one connector account now: `room` attempts, spaced as its PSP wants it (seconds)."""

    account: str
    room: int
    first: float
    most: float
    pending_most: float


class Lease(Struct, frozen=True):
    """One attempt, ours to ask about until the lease ends. A later claim has a larger epoch."""

    payment: str
    attempt: str
    account: str
    epoch: int


async def claim_attempts(db: Database, turns: list[Turn], limit: int, lease_seconds: float) -> list[Lease]:
    """Attempts whose time to ask has come, the turns' accounts served alike."""
    accounts = [{**structs.asdict(t), "account": hex_of(t.account)} for t in turns]
    rows = await run(db, Q["claim_attempts"], encoded(accounts), limit, lease_seconds)
    return [
        Lease(
            public("pay", r["payment_id"]) or "",
            public("att", r["id"]) or "",
            public("con", r["connector_account_id"]) or "",
            r["asks"],
        )
        for r in rows
    ]


async def claim_attempt(db: Any, payment_id: str, attempt_id: str, lease_seconds: float) -> int | None:
    """The epoch of a lease on this attempt now, or None. Counts the question, as every claim does."""
    row = await run(db, Q["claim_attempt"], *key_of(payment_id), hex_of(attempt_id), lease_seconds)
    return None if row is None else int(row["asks"])


async def renew_lease(db: Database, payment_id: str, attempt_id: str, epoch: int, lease_seconds: float) -> bool:
    """Is the lease still ours? If so, for so many seconds more."""
    row = await run(db, Q["renew_lease"], *key_of(payment_id), hex_of(attempt_id), epoch, lease_seconds)
    return row is not None


async def lease_held(connection: Any, payment_id: str, attempt_id: str, epoch: int) -> bool:
    """The same, looked at under the payment's lock."""
    return await run(connection, Q["lease_held"], *key_of(payment_id), hex_of(attempt_id), epoch) is not None


async def end_lease(db: Database, payment_id: str, attempt_id: str, epoch: int) -> None:
    """Others may ask before it runs out. A lease that is not ours any more is left alone."""
    await run(db, Q["end_lease"], *key_of(payment_id), hex_of(attempt_id), epoch)


async def stored_for(db: Database, payment_id: str, attempt_id: str) -> float:
    """The PSP answers its key with a stored failure: seconds since that was first seen, which may be now."""
    row = await run(db, Q["stored_for"], *key_of(payment_id), hex_of(attempt_id))
    return float(row["seconds"])


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
