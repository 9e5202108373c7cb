"""What the API reads of the books: balances by ledger account, entries, the journals of a payment."""

from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.ids import hex_of
from scrooge.storage.database import load, run
from scrooge.storage.rows import key_of, microseconds, public

Q = load(Path(__file__).with_suffix(".sql"))
NEWEST = ("f" * 32, 0)


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
    """One posting with what it is about. `position` is (journal as hex, line)."""

    journal: str
    line: int
    minor: int
    payment: str
    attempt: str
    effect: str
    created_at: int  # Unix microseconds
    position: tuple[str, int]


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


async def balances(db: Any, merchant: str, livemode: bool) -> list[Balance]:
    """Raises DatabaseUnavailable when the books are too large to add up within the statement's time."""
    try:
        rows = await run(db, Q["balances"], hex_of(merchant), livemode)
    except asyncpg.QueryCanceledError as error:
        raise DatabaseUnavailable("adding up the books takes too long just now") from error
    return [Balance(r["account"], r["currency"], int(r["balance"]), int(r["debits"]), int(r["credits"])) for r in rows]


async def entries(
    db: Any, merchant: str, livemode: bool, account: str, currency: str,
    before: tuple[str, int] = NEWEST, limit: int = 20,
) -> list[Entry]:  # fmt: skip
    """Newest first."""
    rows = await run(db, Q["entries"], hex_of(merchant), livemode, account, currency, *before, limit)
    return [
        Entry(
            public("jrn", r["journal_id"]) or "", r["line"], r["minor"], public("pay", r["payment_id"]) or "",
            public("att", r["attempt_id"]) or "", r["effect"], microseconds(r["created_at"]) or 0,
            (r["journal_id"].hex, r["line"]),
        )
        for r in rows
    ]  # fmt: skip
