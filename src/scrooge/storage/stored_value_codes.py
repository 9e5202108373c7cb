"""Codes that load stored value, as keyed digests. The codes themselves are nowhere but with whom they were told."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import BUCKETS, bucket_in, bucket_of, hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import at_moment, key_of, microseconds, public

Q = load(Path(__file__).with_suffix(".sql"))


class Issue(Struct, frozen=True, kw_only=True):
    """Codes that were made together. Minor units of `currency` each; moments are Unix microseconds."""

    id: str
    merchant: str
    caller: str
    livemode: bool
    reference: str
    minor: int
    currency: str
    codes: int
    expires_at: int | None = None
    canceled_at: int | None = None
    created_at: int = 0
    used: int = 0


class Guesser(Struct, frozen=True):
    """Who tries codes: a caller, for one customer."""

    merchant: str
    caller: str
    livemode: bool
    customer: str

    def key(self) -> tuple[int, str, str, bool, str]:
        bucket = bucket_of(self.merchant, self.caller, self.customer)
        return bucket, hex_of(self.merchant), hex_of(self.caller), self.livemode, self.customer


def bucket_of_digest(digest: bytes) -> int:
    return int.from_bytes(digest[:4]) % BUCKETS


def issue_of(row: Any) -> Issue:
    return Issue(
        id=public("svc", row["id"]) or "", merchant=public("mer", row["merchant_id"]) or "",
        caller=public("clr", row["caller_id"]) or "", livemode=row["livemode"], reference=row["reference"],
        minor=row["minor"], currency=row["currency"], codes=row["codes"], expires_at=microseconds(row["expires_at"]),
        canceled_at=microseconds(row["canceled_at"]), created_at=microseconds(row["created_at"]) or 0,
        used=dict(row).get("used", 0),
    )  # fmt: skip


async def issue(connection: Any, i: Issue, digests: list[bytes], caller: str) -> Issue | None:
    """None when the reference is taken. `caller` is the name of who sells them."""
    row = await run(
        connection, Q["issue"], *key_of(i.id), hex_of(i.merchant), hex_of(i.caller), i.livemode, i.reference, i.minor,
        i.currency, i.codes, at_moment(i.expires_at),
    )  # fmt: skip
    if row is None:
        return None
    buckets = [bucket_of_digest(d) for d in digests]
    await run(connection, Q["add"], bucket_in(i.id), hex_of(i.id), buckets, digests, caller)
    return issue_of(row)


async def read(db: Any, issue_id: str) -> Issue | None:
    row = await run(db, Q["one"], *key_of(issue_id))
    return None if row is None else issue_of(row)


async def of_reference(db: Any, bucket: int, merchant: str, caller: str, livemode: bool, reference: str) -> str | None:
    row = await run(db, Q["of_reference"], bucket, hex_of(merchant), hex_of(caller), livemode, reference)
    return None if row is None else public("svc", row["id"])


async def cancel(db: Any, issue_id: str) -> None:
    await run(db, Q["cancel"], *key_of(issue_id))


async def take(
    connection: Any, digests: list[bytes], merchant: str, livemode: bool, currency: str, account: str
) -> tuple[int, str] | None:
    """(minor, the caller who sold it) of a code, which this transaction uses up; None for one that is no good."""
    buckets = [bucket_of_digest(d) for d in digests]
    row = await run(connection, Q["take"], buckets, digests, hex_of(merchant), livemode, currency, hex_of(account))
    return None if row is None else (row["minor"], row["caller"])


async def guess(db: Any, who: Guesser, seconds: float) -> int:
    """How many were tried by now that were no good, this one with them."""
    return (await run(db, Q["guess"], *who.key(), seconds))["guesses"]


async def forgive(connection: Any, who: Guesser) -> None:
    await run(connection, Q["forgive"], *who.key())
