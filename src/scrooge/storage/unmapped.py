"""The inbox of declines that no table maps. No rules here; the SQL is in unmapped.sql."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, hex_of, microseconds, public

Q = load(Path(__file__).with_suffix(".sql"))
ROWS_MOST = 1000  # of one merchant, in one mode


class Code(Struct, frozen=True):
    """A decline that was heard: whose, at which connector account, the PSP's code, the issuer's, the card's brand."""

    merchant: str
    livemode: bool
    account: str
    code: str
    network_code: str
    brand: str


class Row(Struct, frozen=True, kw_only=True):
    """`payment` is the latest of them; moments are Unix microseconds."""

    connector: str
    code: str
    network_code: str
    brand: str
    declines: int
    first_seen: int
    last_seen: int
    payment: str


async def add(db: Any, heard: Iterable[tuple[Code, int, str]], most: int = ROWS_MOST) -> None:
    """(code, how many more, the latest payment): one statement, whole or not at all."""
    rows = [
        {
            "merchant_id": hex_of(c.merchant), "livemode": c.livemode, "connector_account_id": hex_of(c.account),
            "code": c.code, "network_code": c.network_code, "brand": c.brand, "declines": declines,
            "payment_id": hex_of(payment),
        }
        for c, declines, payment in heard
    ]  # fmt: skip
    await run(db, Q["add"], encoded(rows), most)


async def page(db: Database, merchant: str, livemode: bool, limit: int) -> list[Row]:
    return [
        Row(
            connector=r["connector"],
            code=r["code"],
            network_code=r["network_code"],
            brand=r["brand"],
            declines=r["declines"],
            first_seen=microseconds(r["first_seen"]) or 0,
            last_seen=microseconds(r["last_seen"]) or 0,
            payment=public("pay", r["payment_id"]) or "",
        )
        for r in await run(db, Q["page"], hex_of(merchant), livemode, limit)
    ]


async def heard(db: Database) -> int:
    """How many codes were heard in the last week."""
    return int((await run(db, Q["heard"]))["codes"])
