"""Cards end: some time after their expiry, when nobody has used them for long, and when a customer is to be forgotten.

Shredding takes away what could be opened, and the fingerprint; what may be shown of a card stays. PCI DSS 3.2.1.
"""

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from msgspec import Struct

from scrooge.errors import DatabaseUnavailable
from scrooge.ids import BUCKETS, bucket_of, hex_of
from scrooge.metrics import VAULT_SHREDDED
from scrooge.postgres.database import Database, load, redone, run
from scrooge.postgres.rows import public
from scrooge.vault import audit
from scrooge.vault.audit import Act

log = structlog.get_logger()
Q = load(Path(__file__).with_suffix(".sql"))
STREAM = "retention"
BATCH = 500
REACH = 64  # buckets looked through at once
PAUSE_SECONDS = 30.0  # between two looks: the whole vault in eight minutes
CLOCKS_APART = timedelta(hours=1)


class Rules(Struct, frozen=True):
    """Days until a card is shredded: after the last day of its expiry month, and after its last use (0: never)."""

    retention_days: int
    unused_days: int

    def month(self, now: datetime) -> str:
        """Cards that expired before this month are due."""
        return f"{now - timedelta(days=self.retention_days):%Y-%m}"

    def used_since(self, now: datetime) -> datetime | None:
        return now - timedelta(days=self.unused_days) if self.unused_days else None


async def keep_up(db: Database, rules: Rules) -> None:
    """For as long as the process lives: everything once at its start, then a part every half minute."""
    first, pause = 0, 0.0
    while True:
        await asyncio.sleep(pause)
        try:
            full = await shred(db, rules, first, first + REACH - 1) == BATCH
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("vault_retention_waits", error=type(error).__name__)
            pause = PAUSE_SECONDS
            continue
        if full:
            continue
        first += REACH
        if first >= BUCKETS:
            first, pause = 0, PAUSE_SECONDS


@redone
async def shred(db: Database, rules: Rules, low: int, high: int) -> int:
    """At most a batch of what is due in these buckets, with its audit; how many."""
    async with db.transaction() as connection:
        now = (await run(connection, Q["moment"]))["at"]
        if abs(now.timestamp() - time.time()) > CLOCKS_APART.total_seconds():
            log.error("vault_retention_clocks", database=now.isoformat())
            return 0  # One of the two is wrong, and what is shredded is gone for good.
        due = await run(connection, Q["shred"], low, high, rules.month(now), rules.used_since(now), BATCH)
        await audit.append(connection, STREAM, [shredded(row) for row in due])
    for row in due:
        VAULT_SHREDDED.labels(row["reason"]).inc()
    return len(due)


def shredded(row: Any) -> Act:
    card = public("ins", row["id"]) or ""
    detail = {"reason": row["reason"], "live": row["livemode"]}
    return Act(who="vault", act="shred", object=card, outcome="done", origin="local", detail=detail)


async def forget(db: Database, merchant: str, customer: str, operator: str) -> int:
    """Every card of a customer is deleted, as the merchant's own DELETE would; how many were not before."""
    async with db.transaction() as connection:
        bucket = bucket_of(merchant, customer)
        rows = await run(connection, Q["forget"], bucket, hex_of(merchant), customer)
        who = f"operator:{operator}"
        acts = [
            Act(
                who=who, act="forget", object=public("ins", row["id"]) or "", outcome="done", origin="cli",
                detail={"live": row["livemode"]},
            )
            for row in rows
        ]  # fmt: skip
        asked = Act(
            who=who, act="forget_customer", object=merchant, outcome="done" if rows else "nothing_to_do", origin="cli",
            detail={"cards": len(rows)},
        )  # fmt: skip
        await audit.append(connection, STREAM, [*acts, asked])
    VAULT_SHREDDED.labels("forgotten").inc(len(rows))
    return len(rows)
