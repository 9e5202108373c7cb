"""Payments under a mandate: whoever commits first, the record or the withdrawal, wins; an issuer's no withdraws with its
own commit."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import structs
from tests.storage.test_mandates import LEFT, agreed, told
from tests.storage.test_writer import REQUEST, caller, made, w  # noqa: F401 - fixtures

from scrooge.domain.attempt import Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.mandate import Mandate, Status
from scrooge.domain.news import hear
from scrooge.domain.outcome import Declined
from scrooge.domain.payment import Payment, decide
from scrooge.errors import MandateRevoked
from scrooge.ids import bucket_in, new_id
from scrooge.storage import changes, mandates, payments
from scrooge.storage.changes import Change, Made
from scrooge.storage.writer import Writer


@pytest.fixture
async def mandate(w: Writer, caller: tuple[str, str]) -> Mandate:  # noqa: F811
    m = agreed(caller)
    await mandates.write(w.db, [m])
    return m


@pytest.fixture
async def others(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection, which waits for locks as long as it takes."""
    connection = await asyncpg.connect(database_url, server_settings={"role": "scrooge_app"})
    yield connection
    await connection.close()


def renewal(caller: tuple[str, str], m: Mandate) -> Made:  # noqa: F811
    p, *rest = made(caller, uuid.uuid4().hex)
    under = structs.replace(
        p, mandate=m.id, mandate_use=m.use, initiator="merchant", customer=m.customer, instrument=m.instrument
    )
    return under, *rest  # type: ignore[return-value]


def declined(p: Payment, **said: str) -> Change:
    outcome = Declined(Decline.DO_NOT_HONOR, raw_code="x", raw_message="no", **said)
    return Change(p, hear(p, p.attempts[0].id, outcome, 1))


async def test_a_record_waits_for_the_withdrawal_that_came_first_and_is_refused(
    w: Writer, caller: tuple[str, str], mandate: Mandate, others: asyncpg.Connection, database_url: str  # noqa: F811
):  # fmt: skip
    late = renewal(caller, mandate)
    async with w.db.transaction() as connection:
        assert await mandates.revoke(connection, [mandate], LEFT)
        recording = asyncio.create_task(changes.create(others, [late]))
        await waiting(w, others, recording)
        assert not recording.done()
    with pytest.raises(MandateRevoked):
        await recording
    assert await payments.read(w.db, late[0].id) is None


async def test_a_withdrawal_waits_for_the_record_that_came_first(
    w: Writer, caller: tuple[str, str], mandate: Mandate, others: asyncpg.Connection  # noqa: F811
):  # fmt: skip
    early = renewal(caller, mandate)
    async with w.db.transaction() as connection:
        assert await changes.create(connection, [early]) == {early[0].id}
        revoking = asyncio.create_task(mandates.revoke(others, [mandate], LEFT))
        await waiting(w, others, revoking)
        assert not revoking.done()
    assert await revoking == {mandate.id}
    assert await payments.read(w.db, early[0].id) is not None


async def test_of_a_batch_only_what_is_under_a_withdrawn_mandate_is_refused(
    w: Writer, caller: tuple[str, str], mandate: Mandate  # noqa: F811
):  # fmt: skip
    gone = agreed(caller)
    await mandates.write(w.db, [gone])
    await mandates.revoke(w.db, [gone], LEFT)
    items = [renewal(caller, (mandate, gone)[n % 2]) for n in range(20)] + [made(caller) for _ in range(5)]
    answers = await asyncio.gather(*map(w.create, items), return_exceptions=True)
    for item, answer in zip(items, answers, strict=True):
        refused = item[0].mandate == gone.id
        assert isinstance(answer, MandateRevoked) if refused else answer is True, answer
        assert (await payments.read(w.db, item[0].id) is None) == refused


async def test_what_it_was_made_under_is_kept_with_the_payment(w: Writer, caller: tuple[str, str], mandate: Mandate):  # noqa: F811
    item = renewal(caller, mandate)
    assert await w.create(item)
    kept = await payments.read(w.db, item[0].id)
    assert kept is not None
    assert (kept.mandate, kept.mandate_use) == (mandate.id, mandate.use)


async def test_no_other_account_is_asked_once_it_is_withdrawn(w: Writer, caller: tuple[str, str], mandate: Mandate):  # noqa: F811
    """What follows a decline is recorded by another statement, which looks as well."""
    item = renewal(caller, mandate)
    await w.create(item)
    change = declined(item[0])
    assert await w.save(change)
    p = structs.replace(change.after, version=2)
    after = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", bucket_in(p.id)), number=2, connector_account=new_id("con", 0),
        sale=True, reference=f"{p.id}-2",
    )  # fmt: skip
    again = Change(p, after, requests={after.attempts[1].id: REQUEST}, ask_at={after.attempts[1].id: 10**18})
    await mandates.revoke(w.db, [mandate], LEFT)
    with pytest.raises(MandateRevoked):
        await w.save(again)
    kept = await payments.read(w.db, p.id)
    assert kept is not None
    assert (len(kept.attempts), kept.version) == (1, 2)


@pytest.mark.parametrize(
    ("said", "withdrawn"),
    [
        ({"advice_code": "21"}, True),
        ({"advice_code": "03"}, False),
        ({"advice_code": "02"}, False),
        ({"network_code": "R0"}, True),
        ({"network_code": "R1"}, True),
        ({"network_code": "R3"}, True),
        ({"network_code": "05"}, False),
        ({}, False),
    ],
)
async def test_an_issuers_no_that_withdraws_it_does_so_in_its_own_commit(
    said: dict[str, str], withdrawn: bool, w: Writer, caller: tuple[str, str], mandate: Mandate, database_url: str  # noqa: F811
):  # fmt: skip
    item = renewal(caller, mandate)
    await w.create(item)
    assert await w.save(declined(item[0], **said))
    found = (await mandates.read_many(w.db, [mandate.id]))[mandate.id]
    assert (found.status is Status.REVOKED) == withdrawn
    assert found.revoked is None or found.revoked.by == "issuer"
    expected = ["mandate_activated", *(["mandate_revoked"] if withdrawn else [])]
    assert await told(database_url, mandate) == expected


async def test_two_answers_that_withdraw_it_in_one_batch_withdraw_it_once(
    w: Writer, caller: tuple[str, str], mandate: Mandate, database_url: str  # noqa: F811
):  # fmt: skip
    items = [renewal(caller, mandate) for _ in range(20)]
    assert await asyncio.gather(*map(w.create, items)) == [True] * 20
    news = [declined(item[0], advice_code="21") for item in items]
    assert await asyncio.gather(*map(w.save, news)) == [True] * 20
    for change in news:
        kept = await payments.read(w.db, change.after.id)
        assert kept is not None
        assert kept.attempts[0].state is State.DECLINED
    assert await told(database_url, mandate) == ["mandate_activated", "mandate_revoked"]


async def test_news_that_is_not_kept_withdraws_nothing(w: Writer, caller: tuple[str, str], mandate: Mandate):  # noqa: F811
    item = renewal(caller, mandate)
    await w.create(item)
    stale = declined(structs.replace(item[0], version=7), advice_code="21")
    assert not await w.save(stale)
    assert (await mandates.read_many(w.db, [mandate.id]))[mandate.id].status is Status.ACTIVE


async def waiting(w: Writer, connection: asyncpg.Connection, task: asyncio.Task[set[str]]) -> None:  # noqa: F811
    """Until the other one stands before a lock, or did not have to."""
    pid = connection.get_server_pid()
    async with w.repeatable.acquired() as looking:
        while not task.done() and not await looking.fetchval("SELECT cardinality(pg_blocking_pids($1)) > 0", pid):
            await asyncio.sleep(0.01)


async def test_an_issuers_no_to_the_card_that_is_to_be_its_next_withdraws_nothing(
    w: Writer, caller: tuple[str, str], mandate: Mandate, database_url: str  # noqa: F811
):  # fmt: skip
    item = renewal(caller, mandate)
    checked = structs.replace(item[0], mandate_use=None, initiator="customer", save_for="recurring")
    await w.create((checked, *item[1:]))
    assert await w.save(declined(checked, advice_code="21", network_code="R1"))
    assert (await mandates.read_many(w.db, [mandate.id]))[mandate.id].status is Status.ACTIVE
    assert await told(database_url, mandate) == ["mandate_activated"]
