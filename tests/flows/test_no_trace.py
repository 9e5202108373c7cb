"""When "there is no trace of it" is evidence: never soon after something may have been executed under the key."""

import asyncpg
from tests.flows.test_races import asked, made, older
from tests.world import World

from scrooge.domain.attempt import State
from scrooge.domain.payment import Payment
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of


async def seen_stored(world: World, p: Payment, interval: str) -> None:
    """As if the PSP's stored failure had been met so long ago."""
    owner = await asyncpg.connect(world.database_url)
    change = f"UPDATE attempts SET stored_at = now() - interval '{interval}' WHERE payment_id = $1"
    assert await owner.execute(change, hex_of(p.id)) == "UPDATE 1"
    await owner.close()


async def turn(s: Scrooge, p: Payment) -> State:
    after = await asked(s, p.id, p.attempts[0].id)
    assert after is not None
    return after.attempts[0].state


async def test_no_trace_is_evidence_only_a_horizon_after_the_key_was_used_up(s: Scrooge, world: World):
    await world.instrument(stripe="pm_card_visa")
    await world.fault("500_before", connector="stripe")
    try:
        p = await made(s, world, "stripe")
    finally:
        await world.no_faults()
    await older(world, p, "1 hour")
    assert await turn(s, p) is State.UNKNOWN, "that the key is used up was not known before"
    await seen_stored(world, p, "3 seconds")
    assert await turn(s, p) is State.UNKNOWN
    await seen_stored(world, p, "1 minute")
    assert await turn(s, p) is State.REJECTED


async def test_a_replay_that_took_the_money_and_failed_is_not_concluded_as_never_done(s: Scrooge, world: World):
    """The first send was lost on its way, an hour ago; the replay is what the PSP executes, and answers with 500. Its
    search does not know of it yet.
    """
    await world.instrument(stripe="pm_card_visa")
    try:
        await world.fault("drop_request", connector="stripe")
        p = await made(s, world, "stripe")
        await older(world, p, "1 hour")
        await world.no_faults()
        await world.fault("charge_then_500", connector="stripe")
        assert await turn(s, p) is State.UNKNOWN
        await world.no_faults()
        await world.fault("inquiry_lag", connector="stripe", delay_ms=600_000)
        assert [await turn(s, p) for _ in range(2)] == [State.UNKNOWN] * 2
    finally:
        await world.no_faults()
