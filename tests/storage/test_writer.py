"""Group commit: many changes, few commits, and each caller hears of its own change alone."""

import asyncio
import contextlib
import random
import uuid
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Operation
from scrooge.domain.news import hear
from scrooge.domain.outcome import Approved
from scrooge.domain.payment import Payment, decide
from scrooge.errors import DatabaseUnavailable
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.ledger.postings import Journal, Posting
from scrooge.metrics import BATCHED
from scrooge.money import Money
from scrooge.postgres import lane
from scrooge.postgres.database import connect
from scrooge.storage import changes, payments, writer
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.changes import Change, Guard
from scrooge.storage.writer import Writer, open_writer

REQUEST = Request("POST", "/v1/payment_intents", b"amount=500")


@pytest.fixture
async def w(database_url: str):
    w = await open_writer(database_url)
    yield w
    await w.close()


@pytest.fixture
async def caller(w: Writer) -> tuple[str, str]:
    merchant = await create_merchant(w.db, f"m-{uuid.uuid4().hex[:12]}")
    return merchant, await create_caller(w.db, merchant, "checkout")


def made(caller: tuple[str, str], reference: str | None = None, key: str | None = None) -> writer.Made:
    reference = reference or uuid.uuid4().hex
    bucket = bucket_of(*caller, reference)
    p = Payment(
        id=new_id("pay", bucket), merchant=caller[0], caller=caller[1], reference=reference, minor=500,
        currency="EUR", created_at=1, deadline_at=1,
    )  # fmt: skip
    p = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", bucket), number=1, connector_account=new_id("con", 0),
        sale=True, reference=f"{p.id}-1",
    )  # fmt: skip
    key = key or reference
    return p, Guard(bucket_of(caller[1], key), key, b"x" * 32), REQUEST, 10**18


def approved(p: Payment, *postings: Posting) -> Change:
    after = hear(p, p.attempts[0].id, Approved("pi_1", Money(500, "EUR")), 1)
    lines = postings or (Posting("a", 500, "EUR"), Posting("b", -500, "EUR"))
    return Change(p, after, (Journal(p.attempts[0].id, "sale_approved", lines),))


def commits(name: str) -> float:
    return sum(bucket.get() for bucket in BATCHED.labels(name)._buckets)


async def test_a_hundred_records_at_once_take_a_few_commits(w: Writer, caller: tuple[str, str]):
    before = commits("record")
    items = [made(caller) for _ in range(100)]
    assert await asyncio.gather(*map(w.create, items)) == [True] * 100
    assert commits("record") - before <= 3
    assert all([await payments.read(w.db, item[0].id) for item in items])


async def test_what_wants_company_is_written_with_it(w: Writer, caller: tuple[str, str]):
    patient, items, before = w.patient(), [made(caller) for _ in range(6)], commits("record")
    patient.company = 6
    began = [asyncio.create_task(patient.create(items[0]))]
    for item in items[1:]:
        await asyncio.sleep(0)  # Others of this process would have begun by now.
        began.append(asyncio.create_task(patient.create(item)))
    assert await asyncio.gather(*began) == [True] * 6
    assert commits("record") - before == 1


async def test_who_finds_no_company_goes_alone(w: Writer, caller: tuple[str, str]):
    patient, item = w.patient(), made(caller)
    patient.company = 100
    assert await patient.create(item)
    assert await patient.save(approved(item[0]))


async def test_who_cannot_wait_takes_along_who_can(w: Writer, caller: tuple[str, str], monkeypatch):
    monkeypatch.setattr(lane, "COMPANY_SECONDS", 3600.0)
    patient = w.patient()
    patient.company = 100
    waiting = [asyncio.create_task(patient.create(made(caller))) for _ in range(3)]
    await asyncio.sleep(0)
    before = commits("record")
    assert await w.create(made(caller))
    assert await asyncio.gather(*waiting) == [True] * 3
    assert commits("record") - before == 1
    more = [asyncio.create_task(patient.create(made(caller))) for _ in range(130)]
    assert await asyncio.gather(*more[:128]) == [True] * 128
    assert await w.create(made(caller))
    assert await asyncio.gather(*more) == [True] * 130


async def test_of_a_hundred_copies_in_one_batch_one_is_made(w: Writer, caller: tuple[str, str]):
    copies = [made(caller, "the-same", "the-same") for _ in range(100)]
    told = await asyncio.gather(*map(w.create, copies))
    assert sorted(told) == [False] * 99 + [True]
    kept = [await payments.read(w.db, item[0].id) for item in copies]
    assert [p is not None for p in kept] == told, "who was told so is the one that is kept"


async def test_each_caller_hears_of_its_own_change(w: Writer, caller: tuple[str, str]):
    items = [made(caller) for _ in range(20)]
    await asyncio.gather(*map(w.create, items))
    stale = {3, 7, 11}
    changes = [approved(structs.replace(item[0], version=9) if n in stale else item[0]) for n, item in enumerate(items)]
    told = await asyncio.gather(*map(w.save, changes))
    assert told == [n not in stale for n in range(20)]
    states = [str((await payments.read(w.db, item[0].id)).attempts[0].state) for item in items]
    assert states == ["sent" if n in stale else "approved" for n in range(20)]


async def test_a_bad_row_fails_alone(w: Writer, caller: tuple[str, str]):
    items = [made(caller) for _ in range(12)]
    await asyncio.gather(*map(w.create, items))
    crooked = (Posting("a", 500, "EUR"), Posting("b", -499, "EUR"))
    changes = [approved(item[0], *(crooked if n == 5 else ())) for n, item in enumerate(items)]
    told = await asyncio.gather(*map(w.save, changes), return_exceptions=True)
    assert isinstance(told[5], asyncpg.CheckViolationError)
    assert [t for n, t in enumerate(told) if n != 5] == [True] * 11
    p = await payments.read(w.db, items[5][0].id)
    assert p is not None
    assert str(p.attempts[0].state) == "sent"


@pytest.mark.parametrize(
    "spoiled", [{"expires_at": 10**18}, {"psp_reference": "".join(uuid.uuid4().hex for _ in range(500))}]
)
async def test_what_no_row_takes_fails_alone(w: Writer, caller: tuple[str, str], spoiled: dict[str, Any]):
    """A PSP's reply may say it (a moment beyond every calendar, a name too long for an index)."""
    items = [made(caller) for _ in range(8)]
    await asyncio.gather(*map(w.create, items))
    changes = [approved(item[0]) for item in items]
    after = changes[3].after
    after = after.replacing(structs.replace(after.attempts[0], **spoiled))
    changes[3] = structs.replace(changes[3], after=after)
    told = await asyncio.gather(*map(w.save, changes), return_exceptions=True)
    assert isinstance(told[3], DatabaseUnavailable)
    assert [t for n, t in enumerate(told) if n != 3] == [True] * 7


async def test_two_changes_of_one_payment_are_never_in_one_batch(w: Writer, caller: tuple[str, str]):
    item = made(caller)
    await w.create(item)
    told = await asyncio.gather(*(w.save(approved(item[0])) for _ in range(30)))
    assert sorted(told) == [False] * 29 + [True]
    row = await w.db.pool.fetchval("SELECT count(*) FROM journals WHERE payment_id = $1", uuid.UUID(hex_of(item[0].id)))
    assert row == 1


async def test_a_payment_held_by_another_does_not_hold_up_the_others(
    w: Writer, caller: tuple[str, str], database_url: str
):
    items = [made(caller) for _ in range(4)]
    await asyncio.gather(*map(w.create, items))
    other = await connect(database_url, size=1)
    async with other.transaction() as connection:
        await payments.lock(connection, items[1][0].id)
        told = await asyncio.gather(*(w.save(approved(item[0])) for item in items))
    await other.close()
    assert told == [True, False, True, True]


async def test_batches_of_several_processes_that_overlap_write_each_payment_once_and_whole(
    caller: tuple[str, str], database_url: str
):
    """Under READ COMMITTED this ends PostgreSQL 18.4 with a segmentation fault within a few rounds."""
    async with contextlib.AsyncExitStack() as stack:
        writers = [await open_writer(database_url) for _ in range(4)]
        for each in writers:
            stack.push_async_callback(each.close)
        for _ in range(10):
            items = [made(caller) for _ in range(24)]
            await asyncio.gather(*map(writers[0].create, items))
            told = await asyncio.gather(*(
                each.save(approved(item[0])) for each in writers for item in random.sample(items, len(items))
            ))  # fmt: skip
            kept = [await payments.read(writers[0].db, item[0].id) for item in items]
            states = [(p.version, str(p.attempts[0].state)) for p in kept if p is not None]
            written = [(2, "approved")] * sum(told)
            assert sorted(states) == sorted(written + [(1, "sent")] * (len(items) - len(written)))


async def test_when_the_commit_is_not_confirmed_everybody_in_the_batch_hears_that(
    w: Writer, caller: tuple[str, str], database_url: str
):
    items = [made(caller) for _ in range(5)]
    held = await asyncpg.connect(database_url)
    async with held.transaction():
        await held.execute("LOCK TABLE payment_references IN ACCESS EXCLUSIVE MODE")
        writing = [asyncio.create_task(w.create(item)) for item in items]
        while not all(w.done() for w in writing):
            await held.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                               " AND datname = current_database() AND wait_event_type = 'Lock'")  # fmt: skip
            await asyncio.sleep(0.05)
        told = await asyncio.gather(*writing, return_exceptions=True)
    await held.close()
    assert all(isinstance(t, DatabaseUnavailable) for t in told), told
    assert await w.create(made(caller)), "the lane goes on"


async def test_a_commit_that_takes_too_long_is_hung_up_on_and_not_canceled(
    w: Writer, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Canceled, the wait for a standby would end with a commit that everybody sees and the standby lacks."""
    monkeypatch.setattr(lane, "RUN_SECONDS", 0.5)

    async def slow(connection, items):
        await connection.execute(f"SELECT pg_sleep(20) AS {items[0]}")
        return {}

    name = f"slow_{uuid.uuid4().hex}"
    with pytest.raises(DatabaseUnavailable) as told:
        await lane.Lane("slow", w.db, slow, str).put(name)
    assert told.value.unconfirmed, "nobody knows whether it will be done"
    await asyncio.sleep(0.5)
    looking = await asyncpg.connect(database_url)
    pid = await looking.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%' || $1 AND state = 'active' AND pid <> pg_backend_pid()",
        name,
    )
    assert pid is not None, "the server goes on with it"
    await looking.execute("SELECT pg_terminate_backend($1)", pid)
    await looking.close()


async def test_whose_key_is_being_taken_by_another_process_is_told_so(
    w: Writer, caller: tuple[str, str], database_url: str
):
    first, second = made(caller, key="one"), made(caller, key="one")
    other = await connect(database_url, size=1)
    async with other.transaction() as connection:  # Its commit takes a while.
        assert await changes.create(connection, [first])
        assert await w.create(second) is False
    await other.close()
    assert await payments.read(w.db, second[0].id) is None


async def test_more_than_may_wait_is_refused_at_once(w: Writer, caller: tuple[str, str], monkeypatch):
    monkeypatch.setattr(lane, "WAITING_MAX", 10)
    told = await asyncio.gather(*(w.create(made(caller)) for _ in range(40)), return_exceptions=True)
    refused = [t for t in told if isinstance(t, DatabaseUnavailable)]
    assert len(refused) == 30
    assert told.count(True) == 10
