"""How far batches have come: chunks of lines, leased to one worker each, and counted by their payments."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from scrooge.ids import hex_of
from scrooge.money import Money
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, key_of, microseconds, public, uuid_of
from scrooge.storage.batches import Batch

Q = load(Path(__file__).with_suffix(".sql"))
LINES = 256  # of a chunk


class Standing(Struct, frozen=True):
    """Of a batch at work: was it cut into chunks, is any of them not done, and how many workers have one."""

    merchant: str  # by name
    cut: bool
    work: bool
    workers: int


class Chunk(Struct, frozen=True):
    """Some lines of a batch, ours while nobody has a larger epoch."""

    batch: str
    number: int
    first: int
    last: int
    epoch: int


class Line(Struct, frozen=True):
    """What is to be charged, under which mandate; `retry_until` in Unix microseconds."""

    number: int
    reference: str
    amount: Money
    mandate: str
    metadata: dict[str, str]
    retry_until: int | None


class End(Struct, frozen=True):
    """What became of a line: its payment, which may have existed before, or why it has none."""

    line: int
    payment: str | None = None
    existing: bool = False
    error: dict[str, Any] | None = None


class Progress(Struct, frozen=True, kw_only=True):
    """Lines by what became of their payments; `rate` is lines a second of late, and `open`: some chunk was begun and is
    not done, so that what is queued of it may have a payment."""

    existing: int = 0
    captured: int = 0
    declined: int = 0
    failed: int = 0
    processing: int = 0
    refused: int = 0
    rate: float = 0.0
    open: bool = False

    @property
    def done(self) -> int:
        return self.captured + self.declined + self.failed + self.processing + self.refused


async def cut(db: Any, batch: Batch) -> None:
    await run(db, Q["cut"], *key_of(batch.id), batch.lines, LINES)


async def standing(db: Database, batches: Sequence[Batch]) -> dict[str, Standing]:
    keys = [key_of(b.id) for b in batches]
    rows = await run(db, Q["standing"], [k[0] for k in keys], [k[1] for k in keys])
    return {
        public("bat", r["id"]) or "": Standing(r["merchant"], r["cut"], r["work"], r["workers"]) for r in rows
    }  # fmt: skip


async def claim(db: Database, batch: str, worker: UUID, seconds: float) -> Chunk | None:
    row = await run(db, Q["claim"], *key_of(batch), worker, seconds)
    return None if row is None else chunk_of(batch, row)


async def begun(db: Database, worker: UUID, seconds: float, limit: int) -> list[Chunk]:
    """Chunks of batches that have ended, which somebody began and left."""
    return [chunk_of(public("bat", r["batch_id"]) or "", r) for r in await run(db, Q["begun"], worker, seconds, limit)]


def chunk_of(batch: str, row: Any) -> Chunk:
    return Chunk(batch, row["number"], row["first_line"], row["last_line"], row["epoch"])


async def renew(db: Database, chunks: Iterable[Chunk], seconds: float) -> set[tuple[str, int]]:
    """Those that are still ours, as (batch, number)."""
    rows = [{"bucket": key_of(c.batch)[0], "batch_id": hex_of(c.batch), "number": c.number, "epoch": c.epoch}
            for c in chunks]  # fmt: skip
    found = await run(db, Q["renew"], encoded(rows), seconds)
    return {(public("bat", r["batch_id"]) or "", r["number"]) for r in found}


async def let_go(db: Database, chunk: Chunk) -> None:
    await run(db, Q["let_go"], *key_of(chunk.batch), chunk.number, chunk.epoch)


async def held(connection: Any, chunk: Chunk) -> bool:
    """Whether it is still ours; then nobody takes it from us before this transaction ends."""
    return await run(connection, Q["held"], *key_of(chunk.batch), chunk.number, chunk.epoch) is not None


async def use_up(connection: Any, batch: Batch, keys: Sequence[tuple[int, str]]) -> None:
    """Keys of lines, each with its bucket, that are to make no payment any more; who is making one is waited for."""
    buckets, names = [bucket for bucket, _ in keys], [key for _, key in keys]
    await run(connection, Q["use_up"], hex_of(batch.caller), batch.livemode, buckets, names)


async def lines(db: Any, chunk: Chunk) -> list[Line]:
    """Those that have not ended."""
    return [
        Line(
            number=r["line"],
            reference=r["reference"],
            amount=Money(r["minor"], r["currency"]),
            mandate=public("man", r["mandate_id"]) or "",
            metadata=msgspec.json.decode(r["metadata"]) if r["metadata"] else {},
            retry_until=microseconds(r["retry_until"]),
        )
        for r in await run(db, Q["lines"], *key_of(chunk.batch), chunk.first, chunk.last)
    ]


async def known(
    db: Any, batch: Batch, wanted: Sequence[tuple[int, int, str, int, str]]
) -> Mapping[int, tuple[str, bool]]:
    """Of (line, bucket of its reference, reference, bucket of its key, key): the payment that is there already, and
    whether this very line made it."""
    lists = [list(column) for column in zip(*wanted, strict=True)] if wanted else [[], [], [], [], []]
    rows = await run(db, Q["known"], hex_of(batch.merchant), hex_of(batch.caller), batch.livemode, *lists)
    return {r["line"]: (public("pay", r["payment_id"]) or "", r["ours"]) for r in rows}


async def ended(db: Any, batch: str, ends: Sequence[End]) -> None:
    rows = [
        {"line": e.line, "state": "done" if e.payment else "refused", "payment_id": uuid_of(e.payment),
         "existing": e.existing if e.payment else None, "error": e.error}
        for e in ends
    ]  # fmt: skip
    await run(db, Q["ended"], *key_of(batch), encoded(rows))


async def recount(db: Any, batch: str, number: int, *, done: bool = False) -> None:
    """By the payments as they are now; `done`: each line that will ever be begun has ended."""
    await run(db, Q["recount"], *key_of(batch), number, done)


async def to_recount(db: Database, limit: int) -> list[tuple[str, int]]:
    return [(public("bat", r["batch_id"]) or "", r["number"]) for r in await run(db, Q["to_recount"], limit)]


async def progress(db: Any, batch: str) -> Progress:
    row = dict(await run(db, Q["progress"], *key_of(batch)))
    recent, seconds = row.pop("recent"), row.pop("seconds")
    return structs.replace(Progress(**row), rate=recent / max(1.0, seconds))


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))
