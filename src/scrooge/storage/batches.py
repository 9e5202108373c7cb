"""Batches as they stand: made once a key, read, listed, and moved from status to status."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.domain.batch import Act, Status, after
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import at_moment, key_of, microseconds, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))
TRIES = 5  # at a change of status that others keep changing meanwhile


class Pacing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Payments a second at most: of the batch, at an account (by id), by an issuer's BIN. None: as fast as may be."""

    max_tps: float | None = None
    per_connector: dict[str, float] = {}
    per_bin: float | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Moments are Unix microseconds. `lines` is what has come in, of which validation refused `rejected`,
    and knew payments of `found`.

    `retry_until` and `descriptor` (what the payer's statement says) are for lines that do not say it themselves.
    """

    id: str
    merchant: str
    caller: str
    livemode: bool
    name: str
    kind: str
    status: Status
    not_before: int | None
    deadline: int | None
    pacing: Pacing
    on_health_alarm: str
    retry_until: int | None
    descriptor: str | None
    input_bytes: int
    lines: int
    rejected: int
    found: int
    because: str | None
    version: int
    created_at: int
    changed_at: int
    started_at: int | None
    ended_at: int | None
    forgotten_at: int | None
    fingerprint: bytes


class Draft(Struct, frozen=True, kw_only=True):
    """What a caller asks for. Moments are Unix microseconds."""

    name: str
    kind: str
    not_before: int | None
    deadline: int | None
    pacing: Pacing
    on_health_alarm: str
    retry_until: int | None
    descriptor: str | None


class Acted(Struct, frozen=True, kw_only=True):
    """One line of a batch's history. `author`: an API key's id, or `worker`."""

    number: int
    act: str
    status: str
    author: str
    because: str
    created_at: int


def batch_of(row: Any) -> Batch:
    return Batch(
        id=public("bat", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        caller=public("clr", row["caller_id"]) or "",
        livemode=row["livemode"],
        name=row["name"],
        kind=row["kind"],
        status=Status(row["status"]),
        not_before=microseconds(row["not_before"]),
        deadline=microseconds(row["deadline"]),
        pacing=msgspec.json.decode(row["pace"], type=Pacing),
        on_health_alarm=row["on_health_alarm"],
        retry_until=microseconds(row["retry_until"]),
        descriptor=row["descriptor"],
        input_bytes=row["input_bytes"],
        lines=row["input_lines"],
        rejected=row["rejected"],
        found=row["found"],
        because=row["because"],
        version=row["version"],
        created_at=microseconds(row["created_at"]) or 0,
        changed_at=microseconds(row["changed_at"]) or 0,
        started_at=microseconds(row["started_at"]),
        ended_at=microseconds(row["ended_at"]),
        forgotten_at=microseconds(row["forgotten_at"]),
        fingerprint=row["fingerprint"],
    )


async def add(
    db: Database, merchant: str, caller: str, livemode: bool, key: str, fingerprint: bytes, draft: Draft
) -> tuple[Batch, bool]:
    """The batch of this key, and whether it is new. Its fingerprint may be of another request."""
    bucket = bucket_of(caller, key)
    row = await run(
        db, Q["add"], bucket, hex_of(new_id("bat", bucket)), hex_of(merchant), hex_of(caller), livemode, key,
        fingerprint, draft.name, draft.kind, at_moment(draft.not_before), at_moment(draft.deadline),
        msgspec.json.encode(draft.pacing).decode(), draft.on_health_alarm, at_moment(draft.retry_until),
        draft.descriptor,
    )  # fmt: skip
    new = row is not None
    return batch_of(row or await run(db, Q["of_key"], bucket, hex_of(caller), livemode, key)), new


async def read(db: Any, batch_id: str) -> Batch | None:
    row = await run(db, Q["one"], *key_of(batch_id))
    return None if row is None else batch_of(row)


async def page(
    db: Database, merchant: str, livemode: bool, before: str | None, status: str | None, limit: int
) -> list[Batch]:
    """Newest first."""
    rows = await run(db, Q["page"], hex_of(merchant), livemode, uuid_of(before), status, limit)
    return [batch_of(row) for row in rows]


async def in_status(db: Database, *statuses: Status) -> list[Batch]:
    """Oldest first; of those that validate, wait, run or are paused."""
    return [batch_of(row) for row in await run(db, Q["in_status"], list(statuses))]


async def move(db: Any, batch: Batch, act: Act, author: str, because: str = "") -> tuple[Batch, bool]:
    """The batch as it is then, and whether this did it: not where it was done before, or makes no sense in its status.

    One row of history a change. On a connection it is part of its transaction.
    """
    for _ in range(TRIES):
        to = after(batch.status, act)
        if to is None or to is batch.status:
            return batch, False
        row = await run(db, Q["move"], *key_of(batch.id), batch.status, act, to, author, because)
        if row is not None:
            return batch_of(row), True
        found = await read(db, batch.id)
        assert found is not None, "batches are never deleted"
        batch = found
    return batch, False


async def acts(db: Database, batch_id: str) -> Sequence[Acted]:
    rows = await run(db, Q["acts"], *key_of(batch_id))
    return [
        Acted(
            number=row["number"], act=row["act"], status=row["status"], author=row["author"], because=row["because"],
            created_at=microseconds(row["created_at"]) or 0,
        )
        for row in rows
    ]  # fmt: skip
