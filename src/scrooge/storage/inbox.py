"""The inbox: what PSPs told us, raw and read, until it is applied."""

from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from scrooge.connectors.connector import Notification
from scrooge.ids import bucket_of, hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, public

log = structlog.get_logger()
# The database said no to what was to be written or looked for, and will say so again.
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
Q = load(Path(__file__).with_name("work.sql"))


class Unread(Struct, frozen=True):
    """A stored notification that is not applied yet. `notification` None: this release cannot read how it is kept."""

    bucket: int
    connector_account: str
    event_id: str
    kind: str
    notification: Notification | None
    tries: int


async def keep(db: Database, account: str, items: list[Notification], raw: bytes) -> int:
    """Stores items once each; says how many were new. Kinds we do not handle are kept as such."""
    rows = [
        {
            "bucket": bucket_of(account, n.event_id), "event_id": n.event_id, "kind": n.kind, "item": n,
            "state": "unread" if n.outcome is not None or n.psp_token is not None else "unhandled",
        }
        for n in items
    ]  # fmt: skip
    kept = await run(db, Q["receive"], hex_of(account), encoded(rows), raw)
    return int(kept["count"])


async def claim(db: Database, limit: int) -> list[Unread]:
    """Notifications whose turn it is, each handed to one worker only."""
    return [unread_of(row) for row in await run(db, Q["claim_inbox"], limit)]


def unread_of(row: Any) -> Unread:
    try:
        notification = msgspec.json.decode(row["item"], type=Notification)
    except msgspec.MsgspecError as error:  # Kept by a newer release: its worker reads it, ours goes on.
        log.error("inbox_row_unreadable", event_id=row["event_id"], error=type(error).__name__)
        notification = None
    return Unread(
        bucket=row["bucket"],
        connector_account=public("con", row["connector_account_id"]) or "",
        event_id=row["event_id"],
        kind=row["kind"],
        notification=notification,
        tries=row["tries"],
    )


async def file(db: Any, row: Unread, state: str, note: str | None) -> None:
    """Ends a notification: applied, contradicted or unhandled."""
    await run(
        db,
        Q["file_notification"],
        row.bucket,
        hex_of(row.connector_account),
        row.event_id,
        state,
        note,
    )
