"""What became of declined renewals: rows that the database makes of their steps. Nothing here writes one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.domain.recovery import Means, Recovery, Why
from scrooge.ids import hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import key_of, microseconds, moment, public
from scrooge.storage import retries

Q = load(Path(__file__).with_suffix(".sql"))
LOOKED_AT = 5000  # rows: what one page may cost at most
LAST = "f" * 32
BEGINNING, END = 0, 4_102_444_800_000_000  # Unix microseconds: 1970 and 2100


class Row(Struct, frozen=True, kw_only=True):
    """One recovery. `minor` of `currency` is the payment's whole; moments are Unix microseconds."""

    payment: str
    minor: int
    currency: str
    state: Recovery
    reason: str
    means: Means | None
    why: Why | None
    control: bool
    retries: int
    next_at: int | None
    until: int
    opened_at: int
    ended_at: int | None


class Sum(Struct, frozen=True, kw_only=True):
    """All recoveries that have this in common; `minor` is what they are worth, `matured` how many have no time left."""

    currency: str
    reason: str
    means: Means | None
    why: Why | None
    control: bool
    state: Recovery
    count: int
    minor: int
    matured: int


class Filter(Struct, frozen=True, kw_only=True):
    """Which recoveries. Moments are Unix microseconds: opened from `since` on, before `before`."""

    merchant: str
    livemode: bool
    since: int = BEGINNING
    before: int = END
    state: Recovery | None = None
    reason: str | None = None
    means: Means | None = None


Place = tuple[int, str]  # opened at (Unix microseconds), payment (hex)


async def page(db: Any, f: Filter, before: Place | None, limit: int) -> tuple[list[Row], Place | None]:
    """Newest first, and where to go on. A page may be shorter than `limit` although there is more."""
    opened, payment = before or (END, LAST)
    rows = await run(
        db, Q["page"], hex_of(f.merchant), f.livemode, moment(f.since), moment(f.before), f.state, f.reason, f.means,
        moment(opened), payment, limit + 1, LOOKED_AT,
    )  # fmt: skip
    if not rows:
        return [], None
    found = [row_of(row) for row in rows if row["payment_id"] is not None]
    if len(found) > limit:
        last = found[limit - 1]
        return found[:limit], (last.opened_at, hex_of(last.payment))
    if rows[0]["looked"] < LOOKED_AT:
        return found, None
    return found, (microseconds(rows[0]["last_opened"]) or 0, rows[0]["last_payment"].hex)


async def card_updated(connection: Any, mandate: str) -> None:
    """In the transaction that gives a mandate another card: what waits under it has its turn at once, and sees that."""
    await stir(connection, [mandate])


async def stir(connection: Any, mandates: Iterable[str]) -> None:
    """The same of several, and where they were withdrawn."""
    keys = [key_of(m) for m in mandates]
    await now(connection, Q["under_mandates"], [bucket for bucket, _ in keys], [number for _, number in keys])


async def now(connection: Any, waiting: Any, *about: Any) -> None:
    for row in await run(connection, waiting, *about):
        await run(connection, retries.Q["wake"], row["bucket"], row["payment_id"], row["seq"])


async def card_renewed(connection: Any, instrument: str) -> None:
    """In the transaction that learns of a newer card: whom nothing else helps has their turn at once."""
    await now(connection, Q["with_instrument"], hex_of(instrument))


def row_of(row: Any) -> Row:
    return Row(
        payment=public("pay", row["payment_id"]) or "",
        minor=row["minor"],
        currency=row["currency"],
        state=Recovery(row["state"]),
        reason=row["reason"],
        means=Means(row["means"]) if row["means"] else None,
        why=Why(row["why"]) if row["why"] else None,
        control=row["control"],
        retries=row["retries"],
        next_at=microseconds(row["next_at"]),
        until=microseconds(row["retry_until"]) or 0,
        opened_at=microseconds(row["opened_at"]) or 0,
        ended_at=microseconds(row["ended_at"]),
    )


async def own_instrument(db: Any, payment: str) -> str | None:
    """That of its last attempt which was not under another mandate."""
    row = await run(db, Q["own"], *key_of(payment))
    return None if row is None else public("ins", row["instrument_id"])


async def waiting(db: Any) -> int:
    """How many will be tried again by themselves; those that wait for their payer are not."""
    return int((await run(db, Q["waiting"]))["count"])


async def summary(db: Any, f: Filter) -> list[Sum]:
    rows = await run(db, Q["summary"], hex_of(f.merchant), f.livemode, moment(f.since), moment(f.before))
    return [
        Sum(
            currency=row["currency"],
            reason=row["reason"],
            means=Means(row["means"]) if row["means"] else None,
            why=Why(row["why"]) if row["why"] else None,
            control=row["control"],
            state=Recovery(row["state"]),
            count=row["count"],
            minor=int(row["minor"]),
            matured=row["matured"],
        )
        for row in rows
    ]
