"""Who did what to which card, when, from where, and how it ended: written with what was done, in the same commit.

Each stream is a chain: the hash of a record covers the one before it, so that nothing can be changed, taken out or put
between without the rest of the chain saying so. PCI DSS 10.2, 10.3.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.postgres.database import Database, load, run

Q = load(Path(__file__).with_suffix(".sql"))
CONTROL = "control"  # of what is done seldom: keys, callers, sessions, exports
SHARDS = 16  # streams of one kind, so that processes need not wait for each other
PAGE = 2000
ORIGIN_MAX, OBJECT_MAX = 64, 80


class Act(Struct, frozen=True, kw_only=True):
    """`who` is "key:key_..", "core", "session:cse_..", "operator:NAME" or "vault".

    `outcome` is "done" or the code of a refusal.
    """

    who: str
    act: str
    object: str
    outcome: str
    origin: str
    detail: dict[str, str | int | bool | None] = {}


class Broken(Struct, frozen=True):
    """Where a chain does not hold."""

    stream: str
    seq: int
    why: str


class Verified(Struct, frozen=True):
    """`heads`: the last record of each stream that has one; kept elsewhere, they show later that none was cut off."""

    records: int
    broken: list[Broken]
    heads: dict[str, tuple[int, str]]


async def append(connection: Any, stream: str, acts: Sequence[Act]) -> None:
    """Within the transaction of what was done. The stream's head stays locked until that ends."""
    if acts:
        await run(connection, Q["append"], stream, *columns(acts))


def columns(acts: Sequence[Act]) -> list[list[str]]:
    """As the function append_audit() takes them."""
    return [
        [act.who for act in acts], [act.act for act in acts], [act.object[:OBJECT_MAX] for act in acts],
        [act.outcome for act in acts], [act.origin[:ORIGIN_MAX] for act in acts],
        [msgspec.json.encode(act.detail, order="sorted").decode() for act in acts],
    ]  # fmt: skip


def chained(previous: bytes, stream: str, seq: int, at: datetime, fields: tuple[str, ...]) -> bytes:
    """As append_audit() does it in the database."""
    record = msgspec.json.encode([stream, seq, at.isoformat(timespec="microseconds"), *fields])
    return hashlib.sha256(previous + record).digest()


async def verify(db: Database, anchors: dict[str, tuple[int, str]] | None = None) -> Verified:
    """Reads every record. `anchors` are heads of an earlier look: each must still be in its chain."""
    rows = await run(db, Q["heads"])
    heads = {r["stream"]: (r["seq"], r["hash"]) for r in rows}
    ends = {r["stream"]: r["last"] for r in rows}
    records, broken, found = 0, [], {}
    for stream in {*heads, *(anchors or {})}:
        seq, last = 0, hashlib.sha256(stream.encode()).digest()
        anchor = (anchors or {}).get(stream)
        upto = heads[stream][0] if stream in heads else 0
        async for row in pages(db, stream, upto):
            seq += 1
            records += 1
            fields = tuple(row[name] for name in ("who", "act", "object", "outcome", "origin", "detail"))
            if row["seq"] != seq:
                broken.append(Broken(stream, seq, f"record {seq} is missing"))
                break
            last = chained(last, stream, seq, row["at"], fields)
            if last != row["hash"]:
                broken.append(Broken(stream, seq, "this record was changed"))
                break
            if anchor is not None and anchor[0] == seq and anchor[1] != last.hex():
                broken.append(Broken(stream, seq, "the chain is not the one that was seen before"))
                break
        else:
            if stream not in heads or (seq, last) != heads[stream]:
                broken.append(Broken(stream, seq, "the end is missing, or the head was changed"))
            elif ends[stream] > seq:
                broken.append(Broken(stream, seq + 1, "the head was turned back: there are records behind it"))
            elif anchor is not None and anchor[0] > seq:
                broken.append(Broken(stream, seq, f"{anchor[0] - seq} records that were seen before are gone"))
            elif seq:
                found[stream] = (seq, last.hex())
    return Verified(records, sorted(broken, key=lambda b: (b.stream, b.seq)), dict(sorted(found.items())))


async def pages(db: Database, stream: str, upto: int) -> AsyncIterator[Any]:
    """A stream's records in order, up to the head as it was first seen: others may be writing."""
    after = 0
    while rows := await run(db, Q["page"], stream, after, upto, PAGE):
        for row in rows:
            yield row
        after = rows[-1]["seq"]
