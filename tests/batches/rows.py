"""Batches as their upload leaves them, and what became of them: for tests of what comes after it."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from scrooge.domain.batch import Act, Status
from scrooge.domain.mandate import Mandate, Terms, Use
from scrooge.domain.mandate import Status as Agreed
from scrooge.flows.scrooge import now
from scrooge.ids import hex_of, retyped
from scrooge.postgres.database import Database, connect
from scrooge.postgres.rows import public
from scrooge.storage import batches, chunks, mandates
from scrooge.storage.batches import Batch, Draft, Pacing
from tests.world import World

COLUMNS = ("bucket", "batch_id", "line", "state", "reference", "custom_id", "minor", "currency", "mandate_id")


class Batches:
    """Of the world's caller; on a connection of our own."""

    def __init__(self, world: World, db: Database, sql: asyncpg.Connection, whose: tuple[str, str]) -> None:
        self.world, self.db, self.sql = world, db, sql
        self.merchant, self.caller = whose

    async def ready(self, lines: list[tuple[str, str]], *, minor: int = 700, **more: Any) -> Batch:
        """Of (reference, mandate), whole and validated."""
        draft = Draft(**({
            "name": "renewals", "kind": "payments", "not_before": None, "deadline": None, "pacing": Pacing(),
            "on_health_alarm": "continue", "retry_until": None, "descriptor": None,
        } | more))  # fmt: skip
        b, _ = await batches.add(self.db, self.merchant, self.caller, False, uuid.uuid4().hex, bytes(32), draft)
        bucket = await self.sql.fetchval("SELECT bucket FROM batches WHERE id = $1", hex_of(b.id))
        await self.sql.copy_records_to_table("batch_lines", columns=COLUMNS, records=[
            (bucket, hex_of(b.id), n, "queued", reference, reference, minor, "EUR", hex_of(mandate))
            for n, (reference, mandate) in enumerate(lines, start=1)
        ])  # fmt: skip
        await self.sql.execute("UPDATE batches SET input_lines = $2 WHERE id = $1", hex_of(b.id), len(lines))
        b, _ = await batches.move(self.db, b, Act.CLOSE, "tests")
        return (await batches.move(self.db, b, Act.VALIDATE, "tests"))[0]

    async def mandate(self, instrument: str | None = None, **tokens: str) -> str:
        """Of a payer who agreed to whatever may come."""
        instrument = instrument or await self.world.instrument(**(tokens or {"stripe": "pm_card_visa"}))
        m = Mandate(
            id=retyped(instrument, "man"), merchant=self.merchant, livemode=False, caller=self.caller,
            customer="user-1", instrument=instrument, use=Use.RECURRING, status=Agreed.ACTIVE, terms=Terms(),
            consent_at=now(),
        )  # fmt: skip
        await mandates.write(self.db, [m])
        return m.id

    async def act(self, b: Batch, act: Act) -> Batch:
        b, did = await batches.move(self.db, b, act, "tests")
        assert did, (b.status, act)
        return b

    async def until(self, b: Batch, *statuses: Status, seconds: float = 60) -> Batch:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            found = await batches.read(self.db, b.id)
            assert found is not None
            if found.status in statuses:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError((found.status, found.because, await chunks.progress(self.db, b.id)))

    async def lines(self, b: Batch) -> list[Any]:
        return await self.sql.fetch(
            "SELECT l.*, p.status FROM batch_lines l LEFT JOIN payments p ON p.id = l.payment_id"
            " WHERE l.batch_id = $1 ORDER BY line", hex_of(b.id),
        )  # fmt: skip

    async def approved(self, references: list[str]) -> Counter[str]:
        """How often PSPs took the money of each reference."""
        rows = await self.sql.fetch(
            "SELECT id, reference FROM payments WHERE reference = ANY ($1::text[])", references
        )  # fmt: skip
        names = {row["id"].hex: row["reference"] for row in rows}
        found: Counter[str] = Counter()
        for effect in await self.world.truth():
            name = names.get(hex_of(effect["reference"].rpartition("-")[0])) if "-" in effect["reference"] else None
            if name is not None and (effect["operation"], effect["outcome"]) == ("sale", "approved"):
                found[name] += 1
        return found


@asynccontextmanager
async def batches_of(world: World) -> AsyncIterator[Batches]:
    db = await connect(world.database_url, size=2)
    sql = await asyncpg.connect(world.database_url)
    row = await sql.fetchrow(
        "SELECT m.id AS m, c.id AS c FROM callers c JOIN merchants m ON m.id = c.merchant_id WHERE m.name = 'tests'"
    )
    yield Batches(world, db, sql, (public("mer", row["m"]) or "", public("clr", row["c"]) or ""))
    await db.close()
    await sql.close()
