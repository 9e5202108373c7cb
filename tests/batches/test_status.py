"""What may change a batch's status, and that two who change it at once do it once."""

import asyncio
from itertools import pairwise

import asyncpg
import pytest
from msgspec import structs

from scrooge.domain.batch import ENDED, OF_CALLERS, OF_WORKERS, TABLE, Act, Status, after
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.storage import batches
from scrooge.storage.batches import Batch, Draft, Pacing

DRAFT = Draft(
    name="renewals", kind="payments", not_before=None, deadline=None, pacing=Pacing(max_tps=80, per_bin=5),
    on_health_alarm="pause", retry_until=None, descriptor=None,
)  # fmt: skip


@pytest.fixture
async def db(database_url: str):
    found = await connect(database_url, size=4)
    yield found
    await found.close()


async def caller_in(url: str) -> tuple[str, str]:
    connection = await asyncpg.connect(url)
    merchant, caller = new_id("mer", 0), new_id("clr", 0)
    await connection.execute("INSERT INTO merchants (id, name) VALUES ($1, $2)", hex_of(merchant), merchant[4:].lower())
    await connection.execute(
        "INSERT INTO callers (id, merchant_id, name) VALUES ($1, $2, 'subscriptions')",
        hex_of(caller), hex_of(merchant),
    )  # fmt: skip
    await connection.close()
    return merchant, caller


async def made(db: Database, url: str) -> Batch:
    batch, new = await batches.add(db, *await caller_in(url), False, "key", b"1" * 32, DRAFT)
    assert new
    return batch


def test_a_batch_that_ended_changes_no_more():
    assert not [act for act in Act for status in ENDED if after(status, act) not in (None, status)]


def test_every_status_but_the_first_is_reached_and_every_act_is_somebodys():
    reached = {to for row in TABLE.values() for to in row.values()}
    assert reached == set(Status) - {Status.DRAFT}
    assert OF_CALLERS | OF_WORKERS | {Act.CLOSE} == set(Act)


def test_nothing_runs_before_it_was_validated():
    assert [s for s in Status if after(s, Act.START) is Status.RUNNING] == [Status.READY, Status.RUNNING]


async def test_the_same_key_is_the_same_batch(db: Database, database_url: str):
    merchant, caller = await caller_in(database_url)
    both = [batches.add(db, merchant, caller, False, "key", b"1" * 32, DRAFT) for _ in range(2)]
    (first, new), (second, again) = await asyncio.gather(*both)
    assert first.id == second.id
    assert {new, again} == {True, False}
    assert first.pacing == DRAFT.pacing
    other, new = await batches.add(db, merchant, caller, True, "key", b"1" * 32, DRAFT)
    assert new, "a test key's word says nothing of live batches"
    assert other.id != first.id


async def test_the_history_says_who_did_what_and_the_version_moves_with_it(db: Database, database_url: str):
    batch = await made(db, database_url)
    for act in (Act.CLOSE, Act.VALIDATE, Act.START, Act.PAUSE, Act.RESUME, Act.CANCEL):
        batch, did = await batches.move(db, batch, act, "worker", f"because of {act}")
        assert did
    history = await batches.acts(db, batch.id)
    assert [h.status for h in history] == ["validating", "ready", "running", "paused", "running", "canceled"]
    assert all(b.number == a.number + 1 for a, b in pairwise(history))
    assert batch.because == "because of cancel"
    assert batch.started_at
    assert batch.ended_at


async def test_of_many_who_do_the_same_one_does_it(db: Database, database_url: str):
    batch = await made(db, database_url)
    found = await asyncio.gather(*(batches.move(db, batch, Act.CLOSE, "worker") for _ in range(8)))
    assert sum(did for _, did in found) == 1
    assert {b.status for b, _ in found} == {Status.VALIDATING}


async def test_who_knows_an_old_status_is_told_the_new_one(db: Database, database_url: str):
    batch = await made(db, database_url)
    await batches.move(db, batch, Act.CANCEL, "worker")
    stale = structs.replace(batch, status=Status.READY)
    found, did = await batches.move(db, stale, Act.START, "worker")
    assert not did
    assert found.status is Status.CANCELED


async def test_batches_are_listed_newest_first_and_by_status(db: Database, database_url: str):
    merchant, caller = await caller_in(database_url)
    ids = [(await batches.add(db, merchant, caller, False, f"{n}", b"1" * 32, DRAFT))[0] for n in range(3)]
    await batches.move(db, ids[1], Act.CANCEL, "worker")
    found = await batches.page(db, merchant, False, None, None, 10)
    assert {b.id for b in found} == {b.id for b in ids}
    assert [b.id for b in found] == sorted((b.id for b in ids), reverse=True)
    assert [b.id for b in await batches.page(db, merchant, False, None, "canceled", 10)] == [ids[1].id]
    assert not await batches.page(db, merchant, True, None, None, 10)
