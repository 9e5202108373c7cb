"""A payment that somebody holds is not a payment that somebody changed: whoever meets the lock comes after it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from msgspec import structs
from tests.flows.test_races import again, principal
from tests.world import World

from scrooge.connectors.limits import Lane
from scrooge.domain.attempt import State
from scrooge.domain.outcome import ReversalKind, Reversed
from scrooge.domain.payment import Payment
from scrooge.flows.authorize import Wanted, create
from scrooge.flows.cascade import elsewhere
from scrooge.flows.challenge import come_back, only_if_unchanged
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.money import Money


async def paid(s: Scrooge, world: World, token: str, **more: Any) -> Payment:
    wanted = Wanted(
        reference=uuid.uuid4().hex, amount=Money(1299, "EUR"), connector_account="stripe",
        instrument=await world.instrument(stripe=token, adyen="stored_visa"), **more,
    )  # fmt: skip
    return (await create(s, await principal(s, world), wanted, Keyed(uuid.uuid4().hex, b"x" * 32)))[0]


@asynccontextmanager
async def held(world: World, p: Payment) -> AsyncIterator[asyncpg.Connection]:
    """Somebody has the payment's row, changes nothing, and lets it go."""
    owner = await asyncpg.connect(world.database_url)
    try:
        async with owner.transaction():
            await owner.execute("SELECT FROM payments WHERE id = $1 FOR UPDATE", hex_of(p.id))
            yield owner
    finally:
        await owner.close()


async def through_the_lock(world: World, p: Payment, flow: Awaitable[Any]) -> Any:
    """Begins the flow while the row is held, and lets go when it waits for it, or has ended."""
    async with held(world, p) as owner:
        task = asyncio.ensure_future(flow)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        for _ in range(600):
            if task.done() or await owner.fetchval(waits):
                break
            await asyncio.sleep(0.05)
    return await asyncio.wait_for(task, 30)


async def declined(s: Scrooge, world: World) -> tuple[Payment, Any, Any]:
    """Declined at Stripe with Adyen still to try: the payment, its instrument, a slot."""
    p = await paid(s, world, "pm_card_visa_chargeDeclined")
    found = await s.reader.instrument(p.merchant, p.instrument or "")
    accounts = tuple(
        c.connector_account for c in found.credentials if c.connector_account != p.attempts[0].connector_account
    )
    assert len(accounts) == 1
    slot = await s.limits.take(p.attempts[0].connector_account, Lane.NEW)
    return structs.replace(p, accounts=accounts), found, slot


async def test_a_cascade_goes_on_when_the_payment_was_only_held(s: Scrooge, world: World):
    p, instrument, slot = await declined(s, world)
    with slot:
        following = await through_the_lock(world, p, elsewhere(s, p, instrument, slot))
    assert following is not None
    assert [a.state for a in (await again(s, p)).attempts] == [State.DECLINED, State.SENT]
    assert following[0].version == (await again(s, p)).version


async def test_a_cascade_ends_when_the_payment_was_changed(s: Scrooge, world: World):
    p, instrument, slot = await declined(s, world)
    with slot:
        assert await elsewhere(s, p, instrument, slot) is not None
        assert await elsewhere(s, p, instrument, slot) is None, "decided on what is not so any more"
    assert len((await again(s, p)).attempts) == 2


async def waiting(s: Scrooge, world: World) -> Payment:
    p = await paid(s, world, "pm_card_authenticationRequired", return_url="https://shop.example/r")
    assert p.attempts[0].state is State.ACTION_REQUIRED
    return p


async def test_a_payer_who_never_came_is_given_up_when_the_payment_was_only_held(s: Scrooge, world: World):
    p = await waiting(s, world)
    gone = Reversed("the payer did not come back in time", ReversalKind.EXPIRED)
    await through_the_lock(world, p, only_if_unchanged(s, p, p.attempts[0], gone))
    assert (await again(s, p)).attempts[0].state is State.REVERSED


async def test_a_payer_who_comes_back_is_not_sent_away_by_a_lock(s: Scrooge, world: World):
    p = await waiting(s, world)
    token = f"{p.id}.{p.attempts[0].return_token}"
    asks = await through_the_lock(world, p, come_back(s, token, {}))
    assert asks[0].version > p.version, "the PSP was asked what became of it"
