"""What accounts have approved, and which of them a stored credential. No rules here; the SQL is in volumes.sql."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scrooge.postgres.database import load, run
from scrooge.postgres.rows import encoded, hex_of, key_of, public

Q = load(Path(__file__).with_suffix(".sql"))
Place = tuple[str, bool, str, str, str]  # a merchant, whether it is real money, an account, a currency, a period


async def add(db: Any, seen: Iterable[tuple[Place, int]]) -> None:
    """In minor units: one statement, whole or not at all."""
    names = ("merchant_id", "livemode", "connector_account_id", "currency", "period")
    rows = [
        {**dict(zip(names, (hex_of(m), live, hex_of(account), currency, period), strict=True)), "minor": minor}
        for (m, live, account, currency, period), minor in seen
    ]
    await run(db, Q["add"], encoded(rows))


async def kept(db: Any, periods: Iterable[str]) -> dict[Place, int]:
    rows = await run(db, Q["kept"], list(periods))
    return {
        (public("mer", r["merchant_id"]) or "", r["livemode"], public("con", r["connector_account_id"]) or "",
         r["currency"], r["period"]): r["minor"]
        for r in rows
    }  # fmt: skip


async def stick(db: Any, accounts: Mapping[str, str]) -> None:
    """Which account approved each instrument last."""
    rows = [
        {"bucket": bucket, "id": number, "account": hex_of(account)}
        for instrument, account in accounts.items()
        for bucket, number in (key_of(instrument),)
    ]
    await run(db, Q["stick"], encoded(rows))
