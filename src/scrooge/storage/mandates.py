"""Mandates as rows. What was agreed never changes; that it is withdrawn is written by one function of the database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from scrooge.domain.attempt import Attempt, Operation
from scrooge.domain.mandate import ACTIVATED, USES, Earlier, Mandate, Revoked, Status, Terms, Use, mandate_of
from scrooge.domain.payment import Payment
from scrooge.domain.withdrawal import withdrawn
from scrooge.ids import bucket_in, hex_of, new_number
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import at_moment, encoded, key_of, microseconds, public, uuid_of
from scrooge.storage import recoveries

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


async def fallback(db: Any, payment: str) -> Mandate | None:
    """Another one that may pay what a payment's own was declined for; each once."""
    row = await run(db, Q["fallback"], *key_of(payment))
    return None if row is None else mandate_of_row(row)


async def write(db: Any, several: Sequence[Mandate]) -> set[str]:
    """Keeps each, with the event that it is active, unless it is there already, whatever its status. Returns those
    that were kept."""
    rows = [row_of(m) for m in several]
    return {public("man", row["id"]) or "" for row in await run(db, Q["write"], encoded(rows))}


async def revoke(db: Any, several: Sequence[Mandate], why: Revoked) -> set[str]:
    """Withdraws each, with the event of it. Returns those that nobody had withdrawn."""
    if not several:
        return set()
    rows = [revoked_row(structs.replace(m, status=Status.REVOKED, revoked=why)) for m in several]
    gone = {public("man", row["id"]) or "" for row in await run(db, Q["revoke"], encoded(rows))}
    await recoveries.stir(db, gone)
    return gone


async def renew(db: Any, m: Mandate, verification: str) -> bool:
    """Gives it the card (`m.instrument`) that a payer left behind a link, with the event of it. False: the link or the
    mandate is over."""
    bucket, number = key_of(m.id)
    row = {
        "mandate_bucket": bucket, "mandate_id": number, "merchant_id": hex_of(m.merchant), "livemode": m.livemode,
        "customer": m.customer, "instrument_id": hex_of(m.instrument),
        "connector_account_id": uuid_of(m.connector_account), "network_transaction_id": m.network_transaction_id,
        "verification_id": hex_of(verification), "event_id": f"{new_number(bucket):032x}", "content": content_of(m),
    }  # fmt: skip
    return bool(await run(db, Q["renew"], encoded([row])))


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


def agreed(row: Any) -> Mandate | None:
    """What the payer agreed to with a payment (a row of `teaches` in saving.sql); None: nothing, or who asked was not
    the payer."""
    if row["save_for"] is None or row["initiator"] != "customer":
        return None
    return Mandate(
        id=public("man", row["mandate_id"]) or mandate_of(public("pay", row["id"]) or ""),
        merchant=public("mer", row["merchant_id"]) or "",
        livemode=row["livemode"],
        caller=public("clr", row["caller_id"]) or "",
        customer=row["customer"],
        instrument=public("ins", row["teaches"]) or "",
        use=USES[row["save_for"]],
        terms=msgspec.json.decode(row["save_terms"], type=Terms) if row["save_terms"] else Terms(),
        consent_at=microseconds(row["created_at"]) or 0,
    )


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
            max_minor=row["max_minor"],
            currency=row["currency"],
            period=row["period"],
            description=row["description"],
            fallback=row["fallback"],
        ),
        connector_account=public("con", row["connector_account_id"]),
        network_transaction_id=row["network_transaction_id"],
        consent_at=microseconds(row["consent_at"]) or 0,
        revoked=revoked,
        version=row["version"],
        earlier=tuple(map(earlier_of, msgspec.json.decode(row["earlier"]) if row["earlier"] else ())),
    )


def earlier_of(row: Any) -> Earlier:
    return Earlier(
        public("ins", row["instrument_id"]) or "", public("ver", row["verification_id"]) or "",
        microseconds(datetime.fromisoformat(row["until"])) or 0,
    )  # fmt: skip


def wanted_rows(p: Payment, a: Attempt) -> list[dict[str, Any]]:
    """What a new authorization asks of the mandate under which it is made."""
    if p.mandate is None or a.operation is not Operation.AUTHORIZE or a.parent is not None:
        return []
    whose = {"payment_id": hex_of(p.id), "merchant_id": hex_of(p.merchant), "livemode": p.livemode}
    asked = [p.mandate] if p.own_mandate in {None, p.mandate} else [p.mandate, p.own_mandate or ""]
    return [{**whose, "mandate_bucket": bucket_in(m), "mandate_id": hex_of(m)} for m in asked]


def withdrawn_rows(before: Payment, after: Payment) -> list[dict[str, Any]]:
    """What a change of a payment says of the mandate under which it was made."""
    revoked = withdrawn(before, after)
    if revoked is None:
        return []
    assert after.mandate is not None
    assert after.mandate_use is not None
    m = Mandate(
        id=after.mandate, merchant=after.merchant, livemode=after.livemode, caller=after.caller,
        customer=after.customer or "", instrument=after.instrument or "", use=after.mandate_use, status=Status.REVOKED,
        revoked=revoked,
    )  # fmt: skip
    return [{**revoked_row(m), "payment_id": hex_of(after.id)}]
