"""What a vault holds, in numbers."""

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from scrooge.postgres.database import Database, load, run

Q = load(Path(__file__).with_suffix(".sql"))


class Cards(Struct, frozen=True):
    """Of one mode, status and brand; `oldest` was made then, and one of them used last at `used`."""

    livemode: bool
    status: str
    brand: str
    cards: int
    oldest: datetime
    used: datetime | None


class Status(Struct, frozen=True):
    """`codes_run_out` should be none but for half a minute; `audit_records` are those of all chains."""

    cards: list[Cards]
    codes_waiting: int
    codes_run_out: int
    audit_records: int
    audit_bytes: int
    database_bytes: int
    idempotency_keys: int
    service_tokens: int
    vault_keys: int
    at: datetime


async def look(db: Database) -> Status:
    async with db.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = on")
        cards = [Cards(**row) for row in await run(connection, Q["cards"])]
        return Status(cards, **await run(connection, Q["rest"]))
