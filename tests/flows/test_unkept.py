"""The first request has called a PSP and cannot finish: what its caller, and a copy of it, are told."""

import asyncio
import uuid
from typing import Any

import pytest
from msgspec import structs
from tests.flows.test_races import principal, s  # noqa: F401 - a fixture
from tests.world import World

from scrooge.connectors.connector import Wire
from scrooge.connectors.send import Answer
from scrooge.domain.attempt import State
from scrooge.domain.outcome import Approved
from scrooge.errors import DatabaseUnavailable, RequestInProgress, SettingsError
from scrooge.flows import ask as asking
from scrooge.flows import cascade, keys, resolve
from scrooge.flows.authorize import Wanted, create
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge, now
from scrooge.money import Money
from scrooge.storage import work
from scrooge.storage.directory import ConnectorAccount


async def wanted(world: World) -> Wanted:
    instrument = await world.instrument(stripe="pm_card_visa")
    return Wanted(reference=uuid.uuid4().hex, amount=Money(1299, "EUR"), instrument=instrument)


async def test_an_outcome_that_cannot_be_kept_is_told_as_unknown_and_not_as_an_error(
    s: Scrooge, world: World, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
):  # fmt: skip
    """Once a PSP was called there is no 5xx: the record stands, and the resolver finds out."""

    async def gone(change: Any) -> bool:
        raise DatabaseUnavailable("the database cannot be reached")

    with monkeypatch.context() as broken:
        broken.setattr(s.writer, "save", gone)
        p, _ = await create(s, await principal(s, world), await wanted(world), Keyed(uuid.uuid4().hex, b"x" * 32))
    assert p.attempts[0].state is State.UNKNOWN
    kept = await resolve.payments.read(s.db, p.id)
    assert kept is not None
    assert kept.attempts[0].state is State.SENT


async def test_a_copy_waits_while_the_first_is_at_work_and_is_answered_once_that_must_be_dead(
    s: Scrooge, world: World, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
):  # fmt: skip
    who, what, keyed = await principal(s, world), await wanted(world), Keyed(uuid.uuid4().hex, b"x" * 32)
    recorded = asyncio.Event()

    async def stalled(*args: Any, **more: Any) -> Any:
        recorded.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(cascade, "ask", stalled)
    first = asyncio.create_task(create(s, who, what, keyed))
    await asyncio.wait_for(recorded.wait(), 20)
    with pytest.raises(RequestInProgress) as refused:
        await create(s, who, what, keyed)
    assert refused.value.members["retry_after"] <= 2, "the first seldom takes its whole deadline"
    first.cancel()
    with pytest.raises(RequestInProgress):
        await create(s, who, what, keyed)
    monkeypatch.setattr(keys, "now", lambda: now() + 60_000_000)
    p, replayed = await create(s, who, what, keyed)
    assert replayed
    assert p.attempts[0].state is State.SENT
    assert not await work.claim_attempt(s.db, p.id, p.attempts[0].id, 10), "its first request may still be out"


async def test_an_answer_that_no_row_takes_is_told_as_unknown_and_not_as_an_error(
    s: Scrooge, world: World, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
):  # fmt: skip
    async def odd(*args: Any, **more: Any) -> Answer:
        when: Any = "one of these days"
        return Answer(Approved("pi_odd", args[3].amount, expires_at=when), 0.0, 200)

    monkeypatch.setattr(asking, "send", odd)
    what = structs.replace(await wanted(world), capture="manual")
    p, _ = await create(s, await principal(s, world), what, Keyed(uuid.uuid4().hex, b"x" * 32))
    assert p.attempts[0].state is State.UNKNOWN


async def test_a_next_psp_whose_credentials_cannot_be_opened_turns_no_decline_into_an_error(
    s: Scrooge, world: World, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
):  # fmt: skip
    instrument = await world.instrument(stripe="pm_card_sandbox_issuerUnavailable", adyen="stored_visa")
    opened = s.directory.wire

    def sealed(account: ConnectorAccount) -> Wire:
        if account.connector == "adyen":
            raise SettingsError("SCROOGE_CREDENTIALS_KEY does not open the stored credentials")
        return opened(account)

    monkeypatch.setattr(s.directory, "wire", sealed)
    what = structs.replace(await wanted(world), instrument=instrument)
    p, _ = await create(s, await principal(s, world), what, Keyed(uuid.uuid4().hex, b"x" * 32))
    assert ([str(a.state) for a in p.attempts], p.answered) == (["declined"], True)
