"""Workers die between finding a newer card, or another mandate, and paying with it: one attempt comes of it, whatever."""

import asyncio

import pytest
from tests.flows.test_fallback import OPTED_IN, agreed, with_card
from tests.flows.test_mandates import renew
from tests.flows.test_payments import effects, until
from tests.flows.test_refreshed import EXPIRED, at_the_psp, stored
from tests.flows.test_retries import in_days
from tests.world import World

from scrooge.ids import hex_of

POINTS = (
    "retry.claimed",
    "recovery.looked",
    "recovery.found",
    "record.before",
    "record.after",
    "send.after",
    "apply.before",
)
QUICK = {"SCROOGE_PSP_TIMEOUT_SECONDS": "2"}


async def dying(world: World, sql, payment: str, point: str) -> None:
    """A worker that is killed there takes its turns, and another one comes after it."""
    world.start("worker", SCROOGE_CRASH_POINT=point, **QUICK)
    assert await asyncio.to_thread(world.processes["worker"].wait, 120) == -9, point
    world.start("worker", **QUICK)
    await sql.execute("UPDATE retries SET due_at = now() WHERE payment_id = $1 AND due_at IS NOT NULL", hex_of(payment))


async def idle(world: World) -> None:
    world.processes["worker"].terminate()
    await asyncio.to_thread(world.processes["worker"].wait, 60)


@pytest.mark.parametrize("point", POINTS)
async def test_a_newer_card_is_tried_once_whoever_dies(world: World, sql, point: str):
    instrument, token = await stored(world, world)  # type: ignore[arg-type]
    await idle(world)
    _, p = await world.pay(instrument=instrument, initiator="merchant", retry_until=in_days(20))
    assert (p["status"], p["recovery"]["means"]) == ("declined", "refresh")
    await at_the_psp(world, world, token)  # type: ignore[arg-type]
    await dying(world, sql, p["id"], point)
    p = await until(world, p["id"], lambda p: p["recovery"]["state"] != "open")
    assert (p["status"], p["recovery"]["means"], len(p["attempts"])) == ("captured", "refresh", 2)
    assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1


@pytest.mark.parametrize("point", ["recovery.found", "record.after", "apply.before"])
async def test_another_mandate_pays_once_whoever_dies(world: World, sql, point: str):
    first, other = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await with_card(sql, first, EXPIRED)
    await idle(world)
    _, p = await renew(world, first["mandate"], retry_until=in_days(20))
    await dying(world, sql, p["id"], point)
    p = await until(world, p["id"], lambda p: p["recovery"]["state"] != "open")
    assert (p["status"], p["mandate"], len(p["attempts"])) == ("captured", other["mandate"], 2)
    assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1
    await sql.execute(
        "UPDATE mandates SET status = 'revoked', revoked_at = now(), revoked_because = 'test', revoked_by = 'merchant'"
        " WHERE fallback AND status <> 'revoked'"
    )
