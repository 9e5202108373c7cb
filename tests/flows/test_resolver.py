"""The resolver: leases, fairness between PSPs, rows that cannot be processed. Every claim here is by the database's clock."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.conftest import opened
from tests.flows.test_races import again, lost, made
from tests.world import World

from scrooge.connectors.send import send
from scrooge.domain.attempt import State
from scrooge.domain.payment import Payment
from scrooge.flows import ask as asking
from scrooge.flows import resolve
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.metrics import JOB_FAILURES
from scrooge.storage import work
from scrooge.storage.work import Lease, Turn
from scrooge.workers.ask import PER_ACCOUNT, TEST_MOST, Asking, turn_of
from scrooge.workers.loop import loop
from scrooge.workers.table import Job


@pytest.fixture(scope="module")
async def world(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One of our own: what others' payments wait for would be asked in the middle of our questions."""
    async with opened(server_url, template_url, tmp_path_factory.mktemp("world")) as world:
        yield world


async def changed(world: World, p: Payment, what: str) -> None:
    """As the owner, behind everybody's back."""
    owner = await asyncpg.connect(world.database_url)
    await owner.execute(f"UPDATE attempts SET {what} WHERE payment_id = $1", hex_of(p.id))
    await owner.close()


async def nobody_waits(world: World) -> None:
    """What other tests left to be asked about later is not due in this one."""
    owner = await asyncpg.connect(world.database_url)
    await owner.execute("UPDATE attempts SET ask_at = now() + interval '1 hour' WHERE ask_at IS NOT NULL")
    await owner.close()


def turn(account: dict[str, Any], room: int = 8) -> Turn:
    return Turn(account["id"], room, 3.0, 20.0, 20.0)


async def leased(s: Scrooge, p: Payment, seconds: float = 30) -> Lease:
    attempt = p.attempts[-1]
    epoch = await work.claim_attempt(s.db, p.id, attempt.id, seconds)
    assert epoch is not None
    return Lease(p.id, attempt.id, attempt.connector_account, epoch)


async def stored_failure(s: Scrooge, world: World) -> Payment:
    """Nothing happened at Stripe, and its key has said so for an hour: conclusive."""
    await world.instrument(stripe="pm_card_visa")
    await world.fault("500_before", connector="stripe")
    try:
        p = await made(s, world, "stripe")
    finally:
        await world.no_faults()
    await changed(world, p, "stored_at = now() - interval '1 hour'")
    return p


async def test_of_sixteen_who_claim_an_attempt_one_has_it(s: Scrooge, world: World):
    p = await lost(s, world, "stripe")
    attempt = p.attempts[0]
    epochs = await asyncio.gather(*(work.claim_attempt(s.db, p.id, attempt.id, 30) for _ in range(16)))
    assert sorted(e for e in epochs if e is not None) == [1]
    await changed(world, p, "ask_at = now()")
    assert p.id not in {lease.payment for lease in await claimed(s, world)}, "its time has come, but it is leased"
    await work.end_lease(s.db, p.id, attempt.id, 1)
    again_due = [lease for lease in await claimed(s, world) if lease.payment == p.id]
    assert [lease.epoch for lease in again_due] == [2]


async def claimed(s: Scrooge, world: World, room: int = PER_ACCOUNT) -> list[Lease]:
    turns = [turn(world.accounts["stripe"], room), turn(world.accounts["adyen"], room)]
    return await work.claim_attempts(s.db, turns, 2 * room, 30)


async def test_a_resolver_whose_lease_ran_out_asks_nobody(s: Scrooge, world: World, monkeypatch: Any):
    p = await lost(s, world, "stripe")
    lease = await leased(s, p)
    await changed(world, p, "leased_until = now() - interval '1 second'")

    async def never(*args: Any, **more: Any) -> Any:
        raise AssertionError("asked")

    monkeypatch.setattr(asking, "send", never)
    after = await resolve.resolve(s, lease)
    assert after is not None
    assert after.attempts[0].state is State.UNKNOWN


@pytest.mark.parametrize("moved", ["asks = asks + 1", "leased_until = now() - interval '1 second'"])
async def test_absence_concludes_nothing_once_the_lease_is_not_the_latest(
    s: Scrooge, world: World, monkeypatch: Any, moved: str
):
    """The resolver stalls between the PSP's answer and what it concludes from it; meanwhile another one may ask."""
    p = await stored_failure(s, world)
    lease = await leased(s, p)

    async def stalls(*args: Any, **more: Any) -> Any:
        answer = await send(*args, **more)
        if args[4].method == "GET":
            await changed(world, p, moved)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(asking, "send", stalls)
        after = await resolve.resolve(s, lease)
    assert after is not None
    assert after.attempts[0].state is State.UNKNOWN
    await changed(world, p, "leased_until = NULL")
    after = await resolve.resolve(s, await leased(s, p))
    assert after is not None
    assert after.attempts[0].state is State.REJECTED


async def test_what_the_psp_approved_counts_whoever_holds_the_lease(s: Scrooge, world: World, monkeypatch: Any):
    p = await lost(s, world, "stripe")
    lease = await leased(s, p)

    async def stalls(*args: Any, **more: Any) -> Any:
        answer = await send(*args, **more)
        await changed(world, p, "asks = asks + 1")
        return answer

    monkeypatch.setattr(asking, "send", stalls)
    after = await resolve.resolve(s, lease)
    assert after is not None
    assert after.attempts[0].state is State.APPROVED


async def test_a_worker_that_was_stopped_in_mid_question_concludes_nothing_from_absence(s: Scrooge, world: World):
    """SIGSTOP while the PSP is answering; another takes the lease; SIGCONT: the answer is there, the right is not."""
    await nobody_waits(world)
    p = await stored_failure(s, world)
    await world.fault("slow", connector="stripe", delay_ms=3_000)
    before = await strikes(world, "slow")
    await changed(world, p, "ask_at = now()")
    world.start("zombie", SCROOGE_PSP_TIMEOUT_SECONDS="20")  # Time enough to be stopped between question and answer.
    zombie = world.processes["zombie"]
    try:
        for _ in range(3000):
            if await strikes(world, "slow") == before + 2:  # The replay was answered, the inquiry is being answered.
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError(f"the worker asked {await strikes(world, 'slow') - before} times, not twice")
        os.kill(zombie.pid, signal.SIGSTOP)
        await world.no_faults()
        await changed(world, p, "leased_until = now() - interval '1 second'")
        lease = await leased(s, p, 600)
        os.kill(zombie.pid, signal.SIGCONT)
        zombie.terminate()  # It finishes first what it began: it hears the answer, and must do nothing with it.
        assert await asyncio.to_thread(zombie.wait, 60) == 0
        found = await again(s, p)
        assert (found.attempts[0].state, found.attempts[0].asks) == (State.UNKNOWN, lease.epoch)
    finally:
        await world.no_faults()
        world.kill("zombie")
        del world.processes["zombie"]
    after = await resolve.resolve(s, lease)
    assert after is not None
    assert after.attempts[0].state is State.REJECTED


async def strikes(world: World, kind: str) -> int:
    async with world.http.get(f"{world.sandbox_url}/faults") as answer:
        found = await answer.json()
    return sum(struck["times"] for struck in found["struck"] if struck["kind"] == kind)


async def test_a_backlog_at_one_psp_holds_up_neither_another_nor_what_is_new(s: Scrooge, world: World):
    await nobody_waits(world)
    old = [await made(s, world, "stripe") for _ in range(12)]
    for age, p in enumerate(old):
        await changed(world, p, f"ask_at = now() - interval '{100 - age} minutes'")
    other = await made(s, world, "adyen")
    await changed(world, other, "ask_at = now()")
    turns = [turn(world.accounts["stripe"]), turn(world.accounts["adyen"])]
    taken = [lease.payment for lease in await work.claim_attempts(s.db, turns, 8, 30)]
    assert 7 <= len(taken) <= 8, "one that is both the oldest and the newest counts for two"
    assert other.id in taken
    assert {old[0].id, old[1].id, old[2].id} <= set(taken), "the oldest first"
    assert old[-1].id in taken, "the newest has a share"


async def test_a_psp_that_fills_its_share_of_a_worker_gets_no_more_turns(s: Scrooge, world: World):
    await nobody_waits(world)
    mine, other = await made(s, world, "stripe"), await made(s, world, "adyen")
    for p in (mine, other):
        await changed(world, p, "ask_at = now()")
    asking = Asking()
    asking.in_hand[world.accounts["stripe"]["id"]] = PER_ACCOUNT
    tasks: list[asyncio.Future[object]] = []
    assert await asking.run(s, lambda item: tasks.append(asyncio.ensure_future(item))) == 1
    await asyncio.gather(*tasks)
    assert ((await again(s, other)).attempts[0].asks, (await again(s, mine)).attempts[0].asks) == (1, 0)
    assert asking.in_hand.total() == PER_ACCOUNT


async def test_questions_are_spaced_as_the_psp_wants_it(s: Scrooge, world: World):
    """Doubling from the first to the most, and further apart for what the PSP itself calls pending."""
    await s.directory.refresh()
    account = s.directory.by_id[world.accounts["stripe"]["id"]]
    recovery = structs.replace(s.connectors["stripe"].recovery, ask_every=4, ask_most=70, pending_most=7000)
    assert turn_of(account, recovery, 1).most == 20, "in test mode everything is resolved within a minute"
    live = turn_of(structs.replace(account, livemode=True), recovery, 1)
    await nobody_waits(world)
    p = await made(s, world, "stripe")
    seen = {}
    for state, asks in (("unknown", 0), ("unknown", 3), ("unknown", 9), ("pending", 9), ("pending", 30)):
        await changed(world, p, f"state = '{state}', ask_at = now(), asks = {asks}, leased_until = NULL")
        await work.claim_attempts(s.db, [live], 1, 5)
        # The lease of 5 seconds was given by the same statement, so its clock is the same.
        row = "SELECT 5 + extract(epoch FROM ask_at - leased_until)::int FROM attempts WHERE payment_id = $1"
        seen[state, asks] = await s.db.pool.fetchval(row, hex_of(p.id))
    await changed(world, p, "state = 'approved', ask_at = NULL")
    assert seen == {
        ("unknown", 0): 4, ("unknown", 3): 32, ("unknown", 9): 70, ("pending", 9): 2048, ("pending", 30): 7000,
    }  # fmt: skip


async def test_a_row_that_cannot_be_processed_is_spaced_and_counted_and_holds_up_nobody(s: Scrooge, world: World):
    await nobody_waits(world)
    poison, good = await lost(s, world, "stripe"), await lost(s, world, "stripe")
    await changed(world, poison, "request = '{}', ask_at = now() - interval '1 day', asks = 10")
    await changed(world, good, "ask_at = now()")
    failed = JOB_FAILURES.labels("asking")._value.get()
    stop = asyncio.Event()
    running = asyncio.create_task(loop(s, Job("asking", 0.05, Asking().run), stop))
    started = time.monotonic()
    for _ in range(1200):
        failures = JOB_FAILURES.labels("asking")._value.get() - failed
        if failures and (await again(s, good)).attempts[0].state is State.APPROVED:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    stop.set()
    await running
    assert (await again(s, good)).attempts[0].state is State.APPROVED
    failures = JOB_FAILURES.labels("asking")._value.get() - failed
    assert (await again(s, poison)).attempts[0].asks == 10 + failures, "every failure is counted"
    assert 1 <= failures <= 1 + (time.monotonic() - started) / TEST_MOST, "it comes back by its own schedule"
    await changed(world, poison, "state = 'rejected', ask_at = NULL")
