"""An authorization that nobody can be asked about any more: the PSP is told to take it back, by our own reference."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.flows.test_payments import effects
from tests.world import World

from scrooge.ids import hex_of


@pytest.fixture
async def silence(world: World) -> AsyncIterator[None]:
    """Adyen authorizes, its answer is lost, and so is its notification."""
    await world.instrument(adyen="stored_visa")
    await world.fault("charge_then_drop", connector="adyen")
    await world.fault("lost_notification", connector="adyen")
    yield
    await world.no_faults()


async def older(world: World, payment: dict[str, Any], interval: str) -> None:
    """As if it had been sent so long ago, and it were its turn."""
    owner = await asyncpg.connect(world.database_url)
    query = f"UPDATE attempts SET recorded_at = now() - interval '{interval}', ask_at = now() WHERE payment_id = $1"
    await owner.execute(query, hex_of(payment["id"]))
    await owner.close()


async def until(world: World, payment: dict[str, Any], status: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(600):
        _, found = await world.get(f"/v1/payments/{payment['id']}?expand=attempts,journals")
        if found["status"] == status:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


async def test_what_adyen_forgot_the_key_of_is_canceled_and_ends_as_its_notification_says(world: World, silence: None):
    status, p = await world.pay("adyen", capture="manual")
    assert (status, p["outcome_certainty"]) == (202, "unknown")
    await world.no_faults()  # A replay would find it out; its key is too old for one.
    await older(world, p, "8 days")
    after = await until(world, p, "voided")
    assert (after["outcome_certainty"], after["journals"]) == ("certain", [])
    assert effects(await world.truth(), p["id"]) == {("authorize", "approved", 1299): 1, ("void", "approved", 1299): 1}
    told = [e["type"] for e in await world.events(p["id"], "authorize_reversed")]
    assert told == ["authorize_unknown", "authorize_reversed"]


async def test_what_can_still_be_asked_again_is_never_canceled(world: World):
    """However often nothing could be learned from that, and however long ago it was."""
    await world.instrument(adyen="stored_visa")
    await world.fault("garbage", connector="adyen")
    await world.fault("lost_notification", connector="adyen")
    status, p = await world.pay("adyen", capture="manual")
    assert (status, p["outcome_certainty"]) == (202, "unknown")
    owner = await asyncpg.connect(world.database_url)
    attempt, asks = hex_of(p["latest_attempt"]), 0
    await owner.execute("UPDATE attempts SET asks = 5 WHERE id = $1::uuid", attempt)
    await older(world, p, "6 days")
    while asks < 6:
        await asyncio.sleep(0.1)
        asks = (
            await owner.fetchval("SELECT asks FROM attempts WHERE id = $1::uuid AND leased_until IS NULL", attempt) or 0
        )
    await owner.close()
    await world.no_faults()
    await older(world, p, "6 days")
    await until(world, p, "authorized")
    assert effects(await world.truth(), p["id"]) == {("authorize", "approved", 1299): 1}
