"""Links by which payers give a mandate another card, as rows. No rules here."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import key_of, microseconds, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))
TRIES_MAX = 5


class Link(Struct, frozen=True, kw_only=True):
    """Moments in Unix microseconds. `payment` was declined under the mandate; `instrument` is the card tried last;
    `expired` by the database's clock; `merchant_name` where it was asked for."""

    id: str
    merchant: str
    merchant_name: str
    livemode: bool
    caller: str
    mandate: str
    payment: str | None
    digest: bytes
    return_url: str | None
    created_at: int
    expires_at: int
    expired: bool
    tries: int
    instrument: str | None
    used_at: int | None
    revoked_at: int | None

    @property
    def status(self) -> str:
        if self.used_at is not None:
            return "used"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expired else "open"


async def add(
    db: Any, link: str, *, merchant: str, livemode: bool, caller: str, mandate: str, payment: str | None, digest: bytes,
    return_url: str | None, seconds: int,
) -> Link:  # fmt: skip
    row = await run(
        db, Q["add"], *key_of(link), hex_of(merchant), livemode, hex_of(caller), hex_of(mandate), uuid_of(payment),
        digest, return_url, seconds,
    )  # fmt: skip
    return link_of(row)


async def find(db: Any, link: str) -> Link | None:
    """Raises MalformedId."""
    row = await run(db, Q["find"], *key_of(link))
    return None if row is None else link_of(row)


async def of_card(db: Any, mandate: str, instrument: str) -> Link | None:
    row = await run(db, Q["of_card"], *key_of(mandate), hex_of(instrument))
    return None if row is None else link_of(row)


async def opened(db: Any, link: str) -> bool:
    """False: it is over, or was opened too often."""
    return await run(db, Q["open"], *key_of(link)) is not None


async def tried(db: Any, link: Link, instrument: str) -> bool:
    """False: it is over, another card came first, or there were too many."""
    return await run(db, Q["try"], *key_of(link.id), hex_of(instrument), uuid_of(link.instrument)) is not None


async def revoke(db: Any, link: str) -> None:
    await run(db, Q["revoke"], *key_of(link))


def link_of(row: Any) -> Link:
    return Link(
        id=public("ulk", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        merchant_name=row["merchant"] or "",
        livemode=row["livemode"],
        caller=public("clr", row["caller_id"]) or "",
        mandate=public("man", row["mandate_id"]) or "",
        payment=public("pay", row["payment_id"]),
        digest=row["digest"],
        return_url=row["return_url"],
        created_at=microseconds(row["created_at"]) or 0,
        expires_at=microseconds(row["expires_at"]) or 0,
        expired=row["expired"],
        tries=row["tries"],
        instrument=public("ins", row["instrument_id"]),
        used_at=microseconds(row["used_at"]),
        revoked_at=microseconds(row["revoked_at"]),
    )
