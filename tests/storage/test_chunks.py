"""Chunks of a batch: cut once, each in the hands of one, and counted by what became of their payments."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from scrooge.domain.batch import Act
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.storage import batches, chunks
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.batches import Batch, Draft, Pacing
from scrooge.storage.chunks import LINES, End, Progress

DRAFT = Draft(
    name="renewals", kind="payments", not_before=None, deadline=None, pacing=Pacing(), on_health_alarm="pause",
    retry_until=None, descriptor=None,
)  # fmt: skip


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await connect(database_url, size=8)
    yield db
    await db.close()


@pytest.fixture
async def batch(db: Database, database_url: str) -> Batch:
    """Two chunks and ten lines of a third, cut."""
    merchant = await create_merchant(db, uuid.uuid4().hex)
    caller = await create_caller(db, merchant, "renewals")
    b, _ = await batches.add(db, merchant, caller, False, uuid.uuid4().hex, bytes(32), DRAFT)
    bucket = int(hex_of(b.id), 16) & 1023
    rows = [(bucket, hex_of(b.id), n, "queued", f"r-{n}", 500, "EUR", hex_of(new_id("man", 1)))
            for n in range(1, 2 * LINES + 11)]  # fmt: skip
    sql = await asyncpg.connect(database_url)
    columns = ("bucket", "batch_id", "line", "state", "reference", "minor", "currency", "mandate_id")
    await sql.copy_records_to_table("batch_lines", columns=columns, records=rows)
    await sql.execute("UPDATE batches SET input_lines = $2, status = 'running' WHERE id = $1", hex_of(b.id), len(rows))
    await sql.close()
    b = await batches.read(db, b.id)
    assert b is not None
    await asyncio.gather(*(chunks.cut(db, b) for _ in range(4)))
    return b


async def test_a_batch_is_cut_once_and_whole(db: Database, batch: Batch):
    taken = [await chunks.claim(db, batch.id, uuid.uuid4(), 30) for _ in range(4)]
    assert [(c.number, c.first, c.last) for c in taken if c] == [(1, 1, 256), (2, 257, 512), (3, 513, 522)]
    assert taken[3] is None


async def test_workers_that_claim_at_once_get_a_chunk_each_and_never_two(db: Database, batch: Batch):
    taken = await asyncio.gather(*(chunks.claim(db, batch.id, uuid.uuid4(), 30) for _ in range(8)))
    assert sorted(c.number for c in taken if c) == [1, 2, 3]
    [standing] = (await chunks.standing(db, [batch])).values()
    assert (standing.cut, standing.work, standing.workers) == (True, True, 3)


async def test_a_lease_that_ended_is_anothers_and_its_renewal_says_so(db: Database, batch: Batch):
    first = await chunks.claim(db, batch.id, uuid.uuid4(), 0)
    assert first is not None
    await asyncio.sleep(0.01)
    second = await chunks.claim(db, batch.id, uuid.uuid4(), 30)
    assert second is not None
    assert (second.number, second.epoch) == (first.number, first.epoch + 1)
    assert await chunks.renew(db, [first], 30) == set()
    assert await chunks.renew(db, [second], 30) == {(batch.id, 1)}
    await chunks.let_go(db, first)
    assert (await chunks.claim(db, batch.id, uuid.uuid4(), 30) or first).number == 2, "the old lease gave nothing back"


async def test_a_line_ends_once_and_a_chunk_when_all_of_it_has(db: Database, batch: Batch):
    c = await chunks.claim(db, batch.id, uuid.uuid4(), 30)
    assert c is not None
    why = {"rule": "mandate_revoked", "detail": "it was withdrawn", "param": "mandate"}
    await chunks.ended(db, batch.id, [End(1, error=why), End(2, error=why)])
    await chunks.ended(db, batch.id, [End(1, new_id("pay", 3), existing=True)])
    assert [line.number for line in await chunks.lines(db, c)][:2] == [3, 4]
    await chunks.recount(db, batch.id, 1)
    p = await chunks.progress(db, batch.id)
    assert (p.refused, p.captured, p.existing, p.done, p.open) == (2, 0, 0, 2, True)
    await chunks.recount(db, batch.id, 1, done=True)
    assert (await chunks.progress(db, batch.id)).open is False


async def test_only_what_was_begun_of_a_batch_that_ended_is_looked_at_again(db: Database, batch: Batch):
    assert await chunks.claim(db, batch.id, uuid.uuid4(), 0)
    await asyncio.sleep(0.01)

    async def begun() -> list[int]:
        return [c.number for c in await chunks.begun(db, uuid.uuid4(), 30, 8) if c.batch == batch.id]

    assert await begun() == []
    await batches.move(db, batch, Act.CANCEL, "tests")
    assert await begun() == [1]
    assert await begun() == []


async def test_a_line_whose_payment_was_made_is_done_whatever_another_tells(db: Database, batch: Batch):
    why = {"rule": "mandate_revoked", "detail": "it was withdrawn", "param": "mandate"}
    paid, other = new_id("pay", 3), new_id("pay", 4)
    await chunks.ended(db, batch.id, [End(1, error=why), End(2, error=why), End(3, paid)])
    await chunks.ended(db, batch.id, [End(1, paid), End(2, other, existing=True), End(3, error=why)])
    async with db.connection() as connection:
        rows = await connection.fetch(
            "SELECT state, payment_id, error FROM batch_lines WHERE batch_id = $1 AND line < 4 ORDER BY line",
            hex_of(batch.id),
        )
    assert [r["state"] for r in rows] == ["done", "refused", "done"]
    assert [r["payment_id"] and r["payment_id"].hex for r in rows] == [hex_of(paid), None, hex_of(paid)]
    assert [r["error"] is None for r in rows] == [True, False, True]


@pytest.mark.parametrize("act", [Act.PAUSE, Act.CANCEL, Act.EXPIRE])
async def test_no_chunk_is_claimed_of_a_batch_that_runs_no_more(db: Database, batch: Batch, act: Act):
    assert await chunks.claim(db, batch.id, uuid.uuid4(), 30)
    await batches.move(db, batch, act, "tests")
    assert await chunks.claim(db, batch.id, uuid.uuid4(), 30) is None


async def test_whoever_stops_a_batch_waits_for_a_claim_and_a_claim_for_whoever_stops_it(
    db: Database, batch: Batch, database_url: str
):
    sql = await asyncpg.connect(database_url)
    async with sql.transaction():
        await sql.execute("UPDATE batches SET status = 'paused' WHERE id = $1", hex_of(batch.id))
        claiming = asyncio.create_task(chunks.claim(db, batch.id, uuid.uuid4(), 30))
        await asyncio.sleep(0.2)
        assert not claiming.done()
    await sql.close()
    assert await claiming is None


async def test_a_chunk_that_is_held_is_taken_from_nobody(db: Database, batch: Batch):
    ours = await chunks.claim(db, batch.id, uuid.uuid4(), 0)
    assert ours is not None
    async with db.transaction() as connection:
        assert await chunks.held(connection, ours)
        taken = await chunks.claim(db, batch.id, uuid.uuid4(), 30)
        assert taken is not None
        assert taken.number != ours.number
    theirs = await chunks.claim(db, batch.id, uuid.uuid4(), 30)
    assert theirs is not None
    assert theirs.number == ours.number
    async with db.transaction() as connection:
        assert not await chunks.held(connection, ours)
        assert await chunks.held(connection, theirs)


async def test_nothing_is_known_of_a_batch_that_has_not_begun(db: Database):
    assert await chunks.progress(db, new_id("bat", 1)) == Progress()
