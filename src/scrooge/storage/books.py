"""What the API reads of the books: balances by ledger account, entries, the journals of a payment."""

from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import key_of, microseconds, public

Q = load(Path(__file__).with_suffix(".sql"))
Position = tuple[str, int]  # (journal as hex, line)
NEWEST: Position = ("f" * 32, 0)


class Balance(Struct, frozen=True):
    """Minor units of one ledger account in one currency; `minor` is debits less credits."""

    account: str
    currency: str
    minor: int
    debits: int
    credits: int


class Line(Struct, frozen=True):
    account: str
    minor: int  # debit positive, credit negative
    currency: str


class Entries(Struct, frozen=True):
    """A journal as it is kept."""

    id: str
    attempt: str
    effect: str
    created_at: int  # Unix microseconds
    lines: list[Line]


class Entry(Struct, frozen=True):
    """One posting with what it is about. `position` says where it stands in its ledger account."""

    journal: str
    line: int
    minor: int
    payment: str  # or the move of stored value
    attempt: str  # or the move of one, that no attempt asked for
    effect: str
    created_at: int  # Unix microseconds
    position: Position


LINES = msgspec.json.Decoder(list[Line])


async def journals_of(db: Any, payment_id: str) -> list[Entries]:
    rows = await run(db, Q["journals_of"], *key_of(payment_id))
    return [
        Entries(
            public("jrn", r["id"]) or "", public("att", r["attempt_id"]) or "", r["effect"],
            microseconds(r["created_at"]) or 0, LINES.decode(r["lines"] or "[]"),
        )
        for r in rows
    ]  # fmt: skip


async def balances(db: Database, merchant: str, livemode: bool) -> list[Balance]:
    """Raises DatabaseUnavailable when the books are too large to add up within the statement's time."""
    try:
        async with db.transaction() as connection:
            await run(connection, Q["plan_for_sums"])
            rows = await run(connection, Q["balances"], hex_of(merchant), livemode)
    except asyncpg.QueryCanceledError as error:
        raise DatabaseUnavailable("adding up the books takes too long just now") from error
    return [Balance(r["account"], r["currency"], int(r["balance"]), int(r["debits"]), int(r["credits"])) for r in rows]


async def entries(
    db: Any, merchant: str, livemode: bool, account: str, currency: str, before: Position = NEWEST, limit: int = 20
) -> tuple[list[Entry], Position | None]:
    """Newest first, and the position to go on before, or None at the end."""
    rows = await run(db, Q["entries"], hex_of(merchant), livemode, account, currency, *before, limit + 1)
    found = [entry_of(r) for r in rows]
    return found[:limit], found[limit - 1].position if len(found) > limit else None


def about(row: Any) -> tuple[str, str]:
    """(payment, attempt) of a journal; of one of stored value the move, and the attempt that asked, if one did."""
    if not row["effect"].startswith("stored_value_"):
        return public("pay", row["payment_id"]) or "", public("att", row["attempt_id"]) or ""
    asked = "svm" if row["attempt_id"] == row.get("journal_id", row.get("id")) else "att"
    return public("svm", row["payment_id"]) or "", public(asked, row["attempt_id"]) or ""


def entry_of(row: Any) -> Entry:
    return Entry(
        public("jrn", row["journal_id"]) or "", row["line"], row["minor"], *about(row), row["effect"],
        microseconds(row["created_at"]) or 0,
        (row["journal_id"].hex, row["line"]),
    )  # fmt: skip
