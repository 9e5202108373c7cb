"""Payments of parts as rows: how each is split, what was asked of it, whose turn it is. The SQL is in splits.sql."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment
from scrooge.domain.split import Closing, Order, Share, Split, Tender
from scrooge.ids import bucket_in, new_number
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, hex_of, key_of, microseconds, moment, public, uuid_of
from scrooge.storage import payments

Q = load(Path(__file__).with_suffix(".sql"))


class OrderRow(Struct, frozen=True):
    """An order as PostgreSQL writes it in JSON; columns we do not name are ignored."""

    id: str
    operation: Operation
    minor: int
    reference: str | None
    final: bool
    shares: tuple[Share, ...]
    refused: dict[str, str]
    ended: str | None
    created_at: datetime


class Due(Struct, frozen=True):
    """A payment of parts whose turn it is, ours for a while."""

    payment: str
    merchant: str  # by name


TENDERS = msgspec.json.Decoder(tuple[Tender, ...])
CLOSING = msgspec.json.Decoder(Closing)
ORDERS = msgspec.json.Decoder(list[OrderRow])


async def record(connection: Any, whole: Payment, tenders: Sequence[Tender], lease_seconds: float) -> None:
    """In the transaction that makes its payment."""
    await run(connection, Q["record"], *key_of(whole.id), hex_of(whole.merchant), encoded(tenders), lease_seconds)


async def read(db: Any, payment_id: str) -> Split | None:
    """With its parts, whoever it belongs to."""
    row = await run(db, Q["split"], *key_of(payment_id))
    whole = await payments.read(db, payment_id) if row is not None else None
    return None if whole is None else await with_parts(db, row, whole)


async def read_several(db: Any, wholes: Sequence[Payment]) -> dict[str, Split]:
    """By payment, with their parts."""
    known = {p.id: p for p in wholes}
    if not known:
        return {}
    rows = await run(db, Q["several"], [bucket_in(i) for i in known], [hex_of(i) for i in known])
    found = {public("pay", row["payment_id"]) or "": row for row in rows}
    return {i: await with_parts(db, row, known[i]) for i, row in found.items()}


async def lock(connection: Any, payment_id: str) -> Split:
    """The same, and nobody else decides about it until the transaction ends."""
    await run(connection, Q["lock"], *key_of(payment_id))
    found = await read(connection, payment_id)
    assert found is not None
    return found


async def with_parts(db: Any, row: Any, whole: Payment) -> Split:
    tenders = TENDERS.decode(row["tenders"])
    return Split(
        whole=whole,
        tenders=tenders,
        parts=tuple([await payments.read(db, tender.payment) for tender in tenders]),
        orders=tuple(order_of(o) for o in ORDERS.decode(row["orders"])) if row["orders"] else (),
        closing=CLOSING.decode(row["closing"]) if row["closing"] else None,
        told=tuple(row["told"]),
        news=row["news"],
        looks=row["looks"],
    )


def order_of(r: OrderRow) -> Order:
    return Order(
        id=public("att", r.id) or "", operation=r.operation, minor=r.minor, reference=r.reference, final=r.final,
        shares=r.shares, refused=r.refused, ended=r.ended, created_at=microseconds(r.created_at) or 0,
    )  # fmt: skip


async def claim(db: Database, limit: int, lease_seconds: float) -> list[Due]:
    rows = await run(db, Q["claim"], limit, lease_seconds)
    return [Due(public("pay", row["payment_id"]) or "", row["merchant"]) for row in rows]


async def renew(db: Database, payment_id: str, lease_seconds: float) -> None:
    await run(db, Q["renew"], *key_of(payment_id), lease_seconds)


async def close(connection: Any, payment_id: str, closing: Closing) -> bool:
    """False: it was decided before."""
    return await run(connection, Q["close"], *key_of(payment_id), encoded(closing)) is not None


async def add_order(connection: Any, payment_id: str, order: Order) -> bool:
    """False: there is one of that id, or of that operation with that reference."""
    row = await run(
        connection, Q["order"], *key_of(payment_id), hex_of(order.id), order.operation, order.minor, order.reference,
        order.final, encoded(order.shares), moment(order.created_at),
    )  # fmt: skip
    return row is not None


async def refuse(db: Any, payment_id: str, order: Order, place: int, why: str) -> None:
    await run(db, Q["refuse"], *key_of(payment_id), hex_of(order.id), str(place), why)


async def settle(
    connection: Any, split: Split, *, status: str, look_in: float | None, moved: bool, told: Sequence[str],
    ended: Mapping[str, str], events: Sequence[tuple[str, dict[str, Any]]],
) -> int:  # fmt: skip
    """In a transaction that has locked it. `look_in`: seconds until the next look. Returns the version."""
    whole = split.whole
    bucket = bucket_in(whole.id)
    numbers = sorted(f"{new_number(bucket):032x}" for _ in events)  # They are shown in the order of their ids.
    announced = [
        {"id": number, "merchant_id": uuid_of(whole.merchant), "livemode": whole.livemode, "type": kind,
         "content": content}
        for number, (kind, content) in zip(numbers, events, strict=True)
    ]  # fmt: skip
    row = await run(
        connection, Q["settle"], *key_of(whole.id), status, True, split.news, look_in, moved, list(told),
        encoded([{"id": hex_of(i), "ended": how} for i, how in ended.items()]), encoded(announced),
    )  # fmt: skip
    return int(row["version"])


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))
