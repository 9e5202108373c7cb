"""Deliveries of events to webhook endpoints: made from the feed, claimed by an endpoint's lane, kept until taken."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, key_of, microseconds, moment, public
from scrooge.storage.endpoints import Endpoint, endpoint_of, wanted
from scrooge.storage.listing import Event, event_of, feed

Q = load(Path(__file__).with_suffix(".sql"))
FIRST, LAST = "0" * 32, "f" * 32
# Microseconds by which events may be out of order in the feed: a transaction may live that long before it writes.
SLACK = 60_000_000


class Delivery(Struct, frozen=True, kw_only=True):
    """Moments are Unix microseconds."""

    id: str
    endpoint: str
    event: str
    payment: str | None
    type: str
    origin: str
    state: str
    tries: int
    due_at: int
    tried_at: int | None
    status: int | None
    error: str | None
    reply: str | None
    milliseconds: int | None
    created_at: int
    delivered_at: int | None


class Tried(Struct, frozen=True, kw_only=True):
    """What became of one try, as a row to file."""

    id: str  # as hex
    tries: int
    state: str
    due_in: float
    status: int | None
    error: str | None
    reply: str
    milliseconds: int


class Replay(Struct, frozen=True, kw_only=True):
    id: str
    endpoint: str
    from_at: int  # Unix microseconds, as the others
    to_at: int
    state: str
    made: int
    created_at: int
    done_at: int | None


def delivery_of(row: Any) -> Delivery:
    return Delivery(
        id=public("whd", row["id"]) or "",
        endpoint=public("whe", row["endpoint_id"]) or "",
        event=public("evt", row["event_id"]) or "",
        payment=public("pay", row["payment_id"]),
        type=row["type"],
        origin=row["origin"],
        state=row["state"],
        tries=row["tries"],
        due_at=microseconds(row["due_at"]) or 0,
        tried_at=microseconds(row["tried_at"]),
        status=row["status"],
        error=row["error"],
        reply=row["reply"],
        milliseconds=row["milliseconds"],
        created_at=microseconds(row["created_at"]) or 0,
        delivered_at=microseconds(row["delivered_at"]),
    )


def replay_of(row: Any) -> Replay:
    return Replay(
        id=public("whr", row["id"]) or "",
        endpoint=public("whe", row["endpoint_id"]) or "",
        from_at=microseconds(row["from_at"]) or 0,
        to_at=microseconds(row["to_at"]) or 0,
        state=row["state"],
        made=row["made"],
        created_at=microseconds(row["created_at"]) or 0,
        done_at=microseconds(row["done_at"]),
    )


def rows_of(events: list[Event], bucket: int) -> str:
    return encoded([
        {"id": hex_of(new_id("whd", bucket)), "event_id": hex_of(e.id), "payment_id": hex_of(e.payment), "type": e.type}
        for e in events
    ])  # fmt: skip


# --- from the feed --------------------------------------------------------------------------


async def behind(db: Database, limit: int) -> list[str]:
    """Endpoints to which the feed has not been spread to its end."""
    return [public("whe", row["id"]) or "" for row in await run(db, Q["behind"], limit)]


async def spread(db: Database, endpoint_id: str, limit: int) -> bool:
    """Makes the deliveries of the feed's next page for one endpoint. True when there is more now.

    The page is read as the pull feed reads it; what it makes and the cursor are one commit.
    """
    bucket, key = key_of(endpoint_id)
    async with db.transaction() as connection:
        row = await run(connection, Q["hold"], bucket, key)
        if row is None:
            return False
        e = endpoint_of(row)
        found, place, more = await feed(connection, e.merchant, e.livemode, e.place, None, limit)
        told = [event for event in found if wanted(e.events, event.type)]
        await run(connection, Q["spread"], bucket, key, *place, rows_of(told, bucket))
    return more


# --- to the receivers -----------------------------------------------------------------------


async def due(db: Database, busy: list[str], failing_too: bool, limit: int) -> list[Endpoint]:
    """Endpoints that have something to be sent now, but those that are `busy`."""
    rows = await run(db, Q["due"], [hex_of(b) for b in busy], failing_too, limit)
    return [endpoint_of(row) for row in rows]


async def claim(db: Database, endpoint: Endpoint, limit: int, seconds: float) -> list[tuple[Delivery, Event | None]]:
    """Deliveries of one endpoint, each with its event (none for a test), for `seconds` nobody else's."""
    rows = await run(db, Q["claim"], *key_of(endpoint.id), limit, seconds)
    found = [delivery_of(row) for row in rows]
    keys = [(bucket_in(d.payment), hex_of(d.payment), hex_of(d.event)) for d in found if d.payment]
    buckets, payments, ids = ([k[n] for k in keys] for n in range(3))
    contents = await run(db, Q["contents"], buckets, payments, ids) if keys else []
    events = {e.id: e for e in (event_of(row, public("pay", row["payment_id"]) or "") for row in contents)}
    return [(d, events.get(d.event)) for d in found]


async def file(db: Database, endpoint_id: str, tried: list[Tried]) -> None:
    await run(db, Q["file"], bucket_in(endpoint_id), encoded(tried))


# --- by hand --------------------------------------------------------------------------------


async def add_test(db: Database, endpoint_id: str) -> Delivery:
    bucket, key = key_of(endpoint_id)
    ids = (hex_of(new_id("whd", bucket)), key, hex_of(new_id("evt", bucket)))
    return delivery_of(await run(db, Q["add_test"], bucket, *ids))


async def page(
    db: Database, endpoint_id: str, states: list[str], before: str | None, limit: int
) -> tuple[list[Delivery], str | None]:
    """Newest first, and where to go on (an id as hex) or None at the end."""
    rows = await run(db, Q["page"], *key_of(endpoint_id), states, before or LAST, limit + 1)
    found = [delivery_of(row) for row in rows]
    return found[:limit], hex_of(found[limit - 1].id) if len(found) > limit else None


async def read(db: Database, delivery_id: str) -> Delivery | None:
    row = await run(db, Q["delivery"], *key_of(delivery_id))
    return None if row is None else delivery_of(row)


async def retry(db: Database, delivery_id: str) -> Delivery:
    return delivery_of(await run(db, Q["retry"], *key_of(delivery_id)))


async def forget(db: Database, limit: int) -> int:
    return int(str(await run(db, Q["forget"], limit)).removeprefix("DELETE "))


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))


# --- replays --------------------------------------------------------------------------------


async def add_replay(
    db: Database, endpoint: Endpoint, from_at: int, to_at: int, from_id: str | None, to_id: str | None
) -> Replay | None:
    """Everything in the feed from one moment and event to another, once more. None while another one runs."""
    bucket, key = key_of(endpoint.id)
    start = await first_xid(db, endpoint.merchant, from_at - SLACK)
    row = await run(
        db, Q["add_replay"], bucket, hex_of(new_id("whr", bucket)), key, moment(from_at), moment(to_at),
        hex_of(from_id) if from_id else FIRST, hex_of(to_id) if to_id else LAST, str(start),
    )  # fmt: skip
    return None if row is None else replay_of(row)


async def read_replay(db: Database, replay_id: str) -> Replay | None:
    row = await run(db, Q["one_replay"], *key_of(replay_id))
    return None if row is None else replay_of(row)


async def first_xid(db: Database, merchant: str, at: int) -> int:
    """A place in the feed before everything written since a moment, found by halving: the feed has no index by time,
    but transactions that began later have greater ids, all but the `SLACK`.
    """
    low, high = 0, int((await run(db, Q["next_xid"]))["xid"])
    while high - low > 1:
        middle = (low + high) // 2
        row = await run(db, Q["first_from"], hex_of(merchant), str(middle))
        if row is None or (microseconds(row["created_at"]) or 0) >= at:
            high = middle
        else:
            low = middle
    return low


async def replays(db: Database, limit: int) -> list[str]:
    return [public("whr", row["id"]) or "" for row in await run(db, Q["replays"], limit)]


async def replay(db: Database, replay_id: str, limit: int) -> bool:
    """Makes the deliveries of one page of a replay. True when it is not done yet."""
    bucket, key = key_of(replay_id)
    async with db.transaction() as connection:
        row = await run(connection, Q["hold_replay"], bucket, key)
        if row is None:
            return False
        start = (str(row["cursor_xid"]), row["cursor_id"].hex)
        merchant = public("mer", row["merchant_id"]) or ""
        found, place, more = await feed(connection, merchant, row["livemode"], start, None, limit)
        past = bool(found) and found[-1].created_at > (microseconds(row["to_at"]) or 0) + SLACK
        told = rows_of([e for e in found if within(e, row)], bucket)
        done = past or not more
        await run(connection, Q["replay"], bucket, key, *place, row["endpoint_id"].hex, told, done)
    return not done


def within(e: Event, row: Any) -> bool:
    at = moment(e.created_at)
    in_range = row["from_at"] <= at <= row["to_at"] and row["from_id"].hex <= hex_of(e.id) <= row["to_id"].hex
    return in_range and wanted(row["events"], e.type)
