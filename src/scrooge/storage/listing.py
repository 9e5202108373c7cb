"""What lists and feeds read: payments newest first, events in order, how a connector account does."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.domain.payment import Payment
from scrooge.ids import bucket_in, bucket_of, hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import attempt_of, key_of, microseconds, moment, public
from scrooge.storage.payments import payment_of

Q = load(Path(__file__).with_suffix(".sql"))
LOOKED_AT = 5000  # rows: what one page may cost at most
SPARE = 400  # the same without a filter, beyond the rows wanted: some may be of the other mode
NEWEST = "f" * 32
SLACK = 10_000_000  # Microseconds between an id's time and its row's, generously.
BEGINNING, END = 0, 4_102_444_800_000_000  # Unix microseconds: 1970 and 2100


class Filter(Struct, frozen=True, kw_only=True):
    """Which payments. Moments are Unix microseconds: from `made_from` on, before `made_before`."""

    merchant: str
    livemode: bool
    status: str | None = None
    reference: str | None = None
    customer: str | None = None
    made_from: int = BEGINNING
    made_before: int = END


class Card(Struct, frozen=True):
    """What may be shown of an instrument."""

    id: str
    brand: str | None
    iin: str | None
    last4: str | None
    exp: str | None


class Event(Struct, frozen=True, kw_only=True):
    """`position` is (transaction id, event id): the feed's order."""

    id: str
    payment: str
    attempt: str | None  # none: it is the payment's own
    type: str
    object_version: int
    content: dict[str, Any]
    created_at: int  # Unix microseconds
    position: tuple[str, str] = ("0", "")


class Health(Struct, frozen=True, kw_only=True):
    attempts: int
    approved: int
    declined: int
    rejected: int
    open: int
    p50: float | None  # milliseconds
    p95: float | None
    unresolved: int
    oldest: int | None  # Unix microseconds


async def page(db: Any, f: Filter, before: str | None, limit: int) -> tuple[list[Payment], str | None]:
    """Payments newest first, and where to go on (an id as hex) or None at the end.

    A page may be shorter than `limit` although there is more: one call looks at a bounded number of rows.
    """
    place = before or NEWEST
    made = moment(f.made_from), moment(f.made_before)
    if f.reference is not None:
        callers = [public("clr", r["id"]) or "" for r in await run(db, Q["callers_of"], hex_of(f.merchant))]
        rows = await run(
            db, Q["of_reference"], [bucket_of(f.merchant, c, f.reference) for c in callers],
            [hex_of(c) for c in callers], hex_of(f.merchant), f.livemode, f.reference, place, *made, f.status,
            f.customer, limit + 1,
        )  # fmt: skip
        found = [payment_of(r) for r in rows]
        return found[:limit], hex_of(found[limit - 1].id) if len(found) > limit else None
    looked_at = LOOKED_AT if f.status or f.customer else limit + SPARE
    upper = min(place, first_id(f.made_before + SLACK))
    lower = first_id(f.made_from - SLACK)
    rows = await run(
        db, Q["newest"], hex_of(f.merchant), f.livemode, upper, lower, *made, f.status, f.customer, limit + 1,
        looked_at,
    )  # fmt: skip
    found = [payment_of(r) for r in rows if r["found"] is not None]
    if len(found) > limit:
        return found[:limit], hex_of(found[limit - 1].id)
    exhausted = rows[0]["looked"] < looked_at
    return found, None if exhausted else rows[0]["last"].hex


def first_id(microseconds_: int) -> str:
    """The smallest UUIDv7 of a moment, as hex."""
    milliseconds = min(max(microseconds_ // 1000, 0), END // 1000)
    return f"{milliseconds << 80:032x}"


async def cards(db: Any, instrument_ids: list[str]) -> list[Card]:
    buckets = [bucket_in(i) for i in instrument_ids]
    rows = await run(db, Q["cards"], buckets, [hex_of(i) for i in instrument_ids])
    return [Card(public("ins", r["id"]) or "", r["brand"], r["iin"], r["last4"], r["exp"]) for r in rows]


async def events_of(db: Any, payment_id: str) -> list[Event]:
    rows = await run(db, Q["events_of"], *key_of(payment_id))
    return [event_of(r, payment_id) for r in rows]


async def feed(
    db: Any, merchant: str, livemode: bool, after: tuple[str, str], types: list[str] | None, limit: int
) -> tuple[list[Event], tuple[str, str], bool]:
    """(events, the position to ask after next time, whether there is more now)."""
    looked_at = LOOKED_AT if types else limit + SPARE
    rows = await run(db, Q["feed"], hex_of(merchant), livemode, *after, types, limit + 1, looked_at)
    found = [
        event_of(r, public("pay", r["payment_id"]) or "", (r["xid"], r["id"].hex)) for r in rows if r["id"] is not None
    ]
    if len(found) > limit:
        return found[:limit], found[limit - 1].position, True
    if not rows:
        return [], after, False
    place = (rows[0]["last_xid"], rows[0]["last_id"].hex)
    return found, place, rows[0]["looked"] == looked_at


def event_of(row: Any, payment_id: str, position: tuple[str, str] = ("0", "")) -> Event:
    return Event(
        id=public("evt", row["id"]) or "",
        payment=payment_id,
        attempt=attempt_of(row["attempt_id"], payment_id),
        type=row["type"],
        object_version=row["object_version"],
        content=msgspec.json.decode(row["content"]),
        created_at=microseconds(row["created_at"]) or 0,
        position=position,
    )


async def health(db: Any, merchant: str, account_id: str, since: datetime, payments_max: int = 500) -> Health:
    since_id = first_id(microseconds(since) or 0)
    h = await run(db, Q["account_health"], hex_of(merchant), hex_of(account_id), since_id, payments_max)
    u = await run(db, Q["account_unresolved"], hex_of(account_id))
    return Health(
        attempts=h["attempts"], approved=h["approved"], declined=h["declined"], rejected=h["rejected"],
        open=h["open"], p50=h["p50"], p95=h["p95"], unresolved=u["unresolved"],
        oldest=microseconds(u["oldest"]),
    )  # fmt: skip
