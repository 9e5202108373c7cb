"""What accounts have approved and who approved a card outlives a process, and is known to all."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import structs
from tests.flows.test_routed import BOTH, pay, shown
from tests.world import World, alone

from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.payment import Payment
from scrooge.flows.remembering import Remembering
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.volumes import Volumes
from scrooge.money import Money
from scrooge.routing.calendar import DAY, day_starts, period
from scrooge.routing.choose import Candidate
from scrooge.routing.policy.document import Volume
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage import volumes
from scrooge.storage.directory import Principal

NOON = day_starts("2026-11-22") + DAY // 2


@pytest.fixture
async def who(s: Scrooge, world: World) -> AsyncIterator[Principal]:
    found = await s.directory.principal(world.key)
    assert found is not None
    yield found
    scope = (found.merchant, found.livemode, None)
    s.routing.active.pop(scope, None)
    s.routing.compiled.pop(scope, None)


def steered(s: Scrooge, who: Principal, *several: Volume) -> Compiled:
    made = Compiled(structs.replace(default_policy(["stripe", "adyen"]), volumes=several))
    scope = (who.merchant, who.livemode, None)
    s.routing.active[scope], s.routing.compiled[scope] = "pol_test", made
    s.learning.known.clear()
    return made


def used(s: Scrooge, world: World, who: Principal, made: Compiled, name: str) -> int:
    c = Candidate(world.accounts[name]["id"], name, True, False, True)
    usage = s.learning.volumes.usage((who.merchant, False), made.bounds, [c], "EUR", now())
    return usage[name, "EUR", "month"].minor


async def as_a_process_that_starts(s: Scrooge) -> None:
    s.learning.volumes = Volumes()
    s.learning.approved_by.clear()
    await Remembering(s.db, s.learning).lessons()


async def test_a_contracts_limit_counts_what_every_process_has_approved(world: World, s: Scrooge, who: Principal):
    card = await world.instrument(**BOTH)
    made = steered(s, who, Volume(account="stripe", currency="EUR", most="999999.00"))
    await as_a_process_that_starts(s)
    before = used(s, world, who, made, "stripe")
    await pay(s, who, card, connector_account="stripe")
    assert used(s, world, who, made, "stripe") == before + 1299, "its own at once"
    await Remembering(s.db, s.learning).lessons()
    await Remembering(s.db, s.learning).lessons()
    await as_a_process_that_starts(s)
    assert used(s, world, who, made, "stripe") == before + 1299, "and another's, once"
    steered(s, who, Volume(account="stripe", currency="EUR", most=Money(before + 2000, "EUR").value))
    p = await pay(s, who, card)
    assert p.attempts[0].connector_account == world.accounts["adyen"]["id"]
    decision = (await shown(world, p.id))["routing"][0]["decision"]
    assert decision["excluded"] == {"stripe": "its contract's limit for the month is reached"}


async def test_a_stored_credential_stays_where_it_was_approved_whoever_is_asked(
    world: World, s: Scrooge, who: Principal
):
    made = steered(s, who)
    for name in ("adyen", "stripe"):
        card = await world.instrument(**BOTH)
        await pay(s, who, card, connector_account=name, initiator="merchant", purpose="recurring")
        await Remembering(s.db, s.learning).lessons()
        await as_a_process_that_starts(s)
        p = await pay(s, who, card, initiator="merchant", purpose="recurring")
        decision = (await shown(world, p.id))["routing"][0]["decision"]
        assert (decision["policy"], decision["way"]) == (made.version, "sticky")
        assert p.attempts[0].connector_account == world.accounts[name]["id"]


async def test_what_a_killed_process_had_approved_is_known_to_the_next(world: World, who: Principal):
    """But for its last seconds."""
    connection = await asyncpg.connect(world.database_url)
    account = world.accounts["stripe"]["id"]
    status, made = await world.pay(instrument=await world.instrument(stripe="pm_card_visa"))
    assert (status, made["status"]) == (201, "captured"), made
    for _ in range(100):
        if await connection.fetchval("SELECT count(*) FROM routing_volumes") and await connection.fetchval(
            "SELECT count(*) FROM routing_effects"
        ):
            break
        await asyncio.sleep(0.2)
    world.kill("serve")
    async with alone(world) as next_one:
        for _ in range(100):  # Another of this module still tells what it has approved.
            await Remembering(next_one.db, next_one.learning).lessons()
            month = sum(m for place, m in next_one.learning.volumes.known.items() if len(place[4]) == 7)
            kept = await connection.fetchval("SELECT sum(minor) FROM routing_volumes WHERE length(period) = 7")
            if month == kept:
                break
            await asyncio.sleep(0.2)
        assert month == kept > 0
        assert account in {place[2] for place in next_one.learning.volumes.known}
        assert next_one.learning.of(who.merchant, False).estimates.effects[()][account].precision > 0
    await connection.close()
    world.start("serve")


async def test_what_is_approved_while_the_database_is_told_is_not_lost(monkeypatch: pytest.MonkeyPatch):
    v, p = Volumes(), Payment(id="pay", merchant="mer", caller="clr", reference="r", minor=500, currency="EUR")
    a = Attempt(
        id="att", number=1, operation=Operation.AUTHORIZE, minor=500, connector_account="con", state=State.APPROVED,
        approved_minor=400,
    )  # fmt: skip
    v.approved(p, a, NOON)

    async def add(db, seen):
        v.approved(p, a, NOON)
        raise ConnectionError

    monkeypatch.setattr(volumes, "add", add)
    with pytest.raises(ConnectionError):
        await v.tell(None)
    assert set(v.news.values()) == set(v.known.values()) == {800}, "the approved part, twice"


@pytest.mark.parametrize(
    ("name", "at", "shown", "elapsed"),
    [
        ("day", NOON, "2026-11-22", 0.5),
        ("month", NOON, "2026-11", 21.5 / 30),
        ("quarter", NOON, "2026-Q4", 52.5 / 92),
        ("year", NOON, "2026", 325.5 / 365),
        ("month", day_starts("2028-02-29"), "2028-02", 28 / 29),
        ("month", day_starts("2026-12-01") - 1, "2026-11", 1.0),
    ],
)
def test_a_period_is_in_utc(name: str, at: int, shown: str, elapsed: float):
    assert period(name, at)[0] == shown
    assert period(name, at)[1] == pytest.approx(elapsed)
