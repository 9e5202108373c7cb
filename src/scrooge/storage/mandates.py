"""Mandates as rows. What was agreed never changes; that it is withdrawn is written by one function of the database."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from scrooge.domain.mandate import ACTIVATED, Mandate, Revoked, Status, Terms, Use
from scrooge.ids import bucket_in, hex_of, new_number
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import at_moment, encoded, key_of, microseconds, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))
LAST = "f" * 32


async def read_many(db: Any, ids: Iterable[str]) -> dict[str, Mandate]:
    """By id, in one statement; an id that is no mandate's has none. Raises MalformedId."""
    keys = [key_of(i) for i in ids]
    rows = await run(db, Q["read"], [bucket for bucket, _ in keys], [number for _, number in keys])
    return {m.id: m for m in map(mandate_of_row, rows)}


async def of_customer(
    db: Any, merchant: str, customer: str, livemode: bool, before: str | None, limit: int
) -> tuple[list[Mandate], str | None]:
    """Newest first, those before an id; and the id to go on before, when there are more."""
    last = hex_of(before) if before else LAST
    rows = await run(db, Q["of_customer"], hex_of(merchant), customer, livemode, last, limit + 1)
    found = [mandate_of_row(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


async def of_instrument(db: Any, instrument: str) -> list[Mandate]:
    """Those that are not withdrawn."""
    return [mandate_of_row(row) for row in await run(db, Q["of_instrument"], hex_of(instrument))]


async def write(db: Any, several: Sequence[Mandate]) -> set[str]:
    """Keeps each, with the event that it is active, unless it is there already, whatever its status. Returns those
    that were kept."""
    rows = [row_of(m) for m in several]
    return {public("man", row["id"]) or "" for row in await run(db, Q["write"], encoded(rows))}


async def revoke(db: Any, several: Sequence[Mandate]) -> set[str]:
    """Withdraws each, as its `revoked` says, with the event of it. Returns those that nobody had withdrawn."""
    rows = [revoked_row(m) for m in several]
    return {public("man", row["id"]) or "" for row in await run(db, Q["revoke"], encoded(rows))}


def row_of(m: Mandate) -> dict[str, Any]:
    bucket, number = key_of(m.id)
    return {
        "bucket": bucket, "id": number, "merchant_id": hex_of(m.merchant), "livemode": m.livemode,
        "caller_id": hex_of(m.caller), "customer": m.customer, "instrument_id": hex_of(m.instrument), "use": m.use,
        "status": m.status, **structs.asdict(m.terms), "connector_account_id": uuid_of(m.connector_account),
        "network_transaction_id": m.network_transaction_id, "consent_at": at_moment(m.consent_at),
        "event_id": f"{new_number(bucket):032x}", "type": ACTIVATED, "content": content_of(m),
    }  # fmt: skip


def revoked_row(m: Mandate) -> dict[str, Any]:
    assert m.revoked is not None
    bucket, number = key_of(m.id)
    return {
        "mandate_bucket": bucket, "mandate_id": number, "because": m.revoked.because, "who": m.revoked.by,
        "event_id": f"{new_number(bucket):032x}", "content": content_of(m),
    }  # fmt: skip


def content_of(m: Mandate) -> dict[str, Any]:
    """What an event tells of it."""
    told = {"id": m.id, "customer": m.customer, "instrument": m.instrument, "use": m.use, "status": m.status}
    why = {"because": m.revoked.because, "by": m.revoked.by} if m.revoked else {}
    return {"mandate": told | ({"revoked": why} if why else {})}


def mandate_of_row(row: Any) -> Mandate:
    revoked = None
    if row["revoked_at"] is not None:
        revoked = Revoked(row["revoked_because"], row["revoked_by"], microseconds(row["revoked_at"]) or 0)
    return Mandate(
        id=public("man", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        livemode=row["livemode"],
        caller=public("clr", row["caller_id"]) or "",
        customer=row["customer"],
        instrument=public("ins", row["instrument_id"]) or "",
        use=Use(row["use"]),
        status=Status(row["status"]),
        terms=Terms(
            max_minor=row["max_minor"], currency=row["currency"], period=row["period"], description=row["description"]
        ),
        connector_account=public("con", row["connector_account_id"]),
        network_transaction_id=row["network_transaction_id"],
        consent_at=microseconds(row["consent_at"]) or 0,
        revoked=revoked,
        version=row["version"],
    )


def wanted(payment: str, merchant: str, livemode: bool, mandate: str | None) -> list[dict[str, Any]]:
    """What a new attempt asks of the mandate under which it is made."""
    if mandate is None:
        return []
    whose = {"payment_id": hex_of(payment), "merchant_id": hex_of(merchant), "livemode": livemode}
    return [{**whose, "mandate_bucket": bucket_in(mandate), "mandate_id": hex_of(mandate)}]
