"""Reads the whole books in one snapshot, in bounded memory, for export and for the trial balance."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct

from scrooge.ledger.export import Chart, Entry, Format
from scrooge.ledger.postings import Posting
from scrooge.postgres.database import load, run
from scrooge.postgres.migrate import connect
from scrooge.postgres.rows import public
from scrooge.storage.books import about

Q = load(Path(__file__).with_suffix(".sql"))
NO_BOOKS_SINCE = "1970-01-01"
POSTINGS = msgspec.json.Decoder(tuple[Posting, ...])


class LedgerBalance(Struct, frozen=True):
    """Minor units of one ledger account in one currency; `minor` is debits less credits."""

    merchant: str
    account: str
    currency: str
    minor: int
    debits: int
    credits: int


@asynccontextmanager
async def books(url: str, live: bool | None) -> AsyncIterator[tuple[asyncpg.Connection, bool]]:
    """A snapshot of the books and whether they are the live ones; None takes those if there are any."""
    connection = await connect(url)
    try:
        await connection.execute("SET ROLE scrooge_app; SET jit = off; SET statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if live is None:
                live = bool((await run(connection, Q["has_live"]))["live"])
            yield connection, live
    finally:
        await connection.close(timeout=5)


async def export(url: str, form: Format, write: Callable[[str], object], *, live: bool | None = None) -> int:
    """Writes the books piece by piece; returns how many journals there were. Raises DatabaseUnavailable."""
    written = 0
    async with books(url, live) as (connection, is_live):
        write(form.head(chart_of(await run(connection, Q["chart"], is_live))))
        async for row in connection.cursor(Q["journals"].sql, is_live, prefetch=500):
            write(form.entry(entry_of(row)))
            written += 1
    return written


def chart_of(found: list[asyncpg.Record]) -> Chart:
    return Chart(
        tuple(sorted({(r["account"], r["merchant"]) for r in found})),
        tuple(sorted({r["currency"] for r in found})),
        min((r["since"] for r in found), default=NO_BOOKS_SINCE),
    )


def entry_of(row: asyncpg.Record) -> Entry:
    return Entry(
        public("jrn", row["id"]) or "", row["date"], row["merchant"], row["caller"], row["reference"],
        *about(row), row["effect"],
        POSTINGS.decode(row["lines"] or "[]"),
    )  # fmt: skip


async def trial_balance(url: str, *, live: bool | None = None) -> list[LedgerBalance]:
    """Every ledger account's balance, by merchant. Raises DatabaseUnavailable."""
    async with books(url, live) as (connection, is_live):
        found = await run(connection, Q["trial_balance"], is_live)
    return [
        LedgerBalance(
            r["merchant"], r["account"], r["currency"], int(r["balance"]), int(r["debits"]), int(r["credits"])
        )
        for r in found
    ]
