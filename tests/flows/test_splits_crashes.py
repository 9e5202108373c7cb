"""Processes die in the middle of a payment with tenders; all of it is paid in the end, or nothing is, each part once."""

import asyncio
from typing import Any

import asyncpg
from tests.flows.test_crashes import dying
from tests.flows.test_payments import amount, effects, follow, until
from tests.flows.test_splits import body_of, held, settled, split
from tests.world import World, alone

from scrooge.flows.settling import settled as keep
from scrooge.ids import hex_of

DECLINED = ("stripe", "pm_card_visa"), ("adyen", "stored_insufficient_funds")
# Two authorizations, the decision to capture, two captures: each is a step.
PAYING = ["split.before", "split.after", *(f"split.step:{n}" for n in range(1, 6)), "record.after:2", "send.after:2",
          "apply.before:2", "apply.after:4", "split.decided", "split.ordered", "split.settled"]  # fmt: skip
UNDOING = [*(f"split.step:{n}" for n in range(2, 5)), "split.decided", "send.after:3", "split.settled"]
MOVING = ["split.decided", "split.ordered", "split.step:1", "split.step:2", "send.after:1", "split.settled"]
WORKING = ["split.claimed", "split.step:1", "split.step:2", "split.settled"]


async def known(world: World) -> None:
    for tokens in (("stripe", "pm_card_visa"), *DECLINED, ("adyen", "stored_visa")):
        await world.instrument(**{tokens[0]: tokens[1]})


async def moved(world: World, p: dict[str, Any]) -> list[dict[tuple[str, str, int], int]]:
    truth = await world.truth()
    return [dict(effects(truth, t["payment"])) for t in p["tenders"]]


PAID = [
    {("authorize", "approved", 1250): 1, ("capture", "approved", 1250): 1},
    {("authorize", "approved", 1750): 1, ("capture", "approved", 1750): 1},
]


async def test_a_crash_while_paying_pays_every_tender_once(world: World):
    async def paid(point: str) -> None:
        answer = await dying(world, point, await body_of(world))
        p = await settled(world, answer, "captured")
        assert await moved(world, p) == PAID, point
        types = [e["type"] for e in await world.events(p["id"], "sale_approved")]
        assert types == ["sale_approved"], point

    await known(world)
    await asyncio.gather(*(paid(point) for point in PAYING))


async def test_a_crash_while_undoing_leaves_nothing_held(world: World):
    async def undone(point: str) -> None:
        answer = await dying(world, point, await body_of(world, *DECLINED))
        await settled(world, answer, "declined")
        p = await until(world, answer["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "declined"])
        first, _ = await moved(world, p)
        assert first == {("authorize", "approved", 1250): 1, ("void", "approved", 1250): 1}, point

    await known(world)
    await asyncio.gather(*(undone(point) for point in UNDOING))


async def test_a_crash_while_capturing_or_refunding_moves_each_share_once(world: World):
    async def captured(point: str) -> None:
        p = await held(world)
        await dying(world, point, {}, f"/v1/payments/{p['id']}/captures")
        p = await settled(world, p, "captured")
        assert await moved(world, p) == PAID, point

    async def refunded(point: str) -> None:
        p = await held(world)
        await world.post(f"/v1/payments/{p['id']}/captures", {})
        p = await settled(world, p, "captured")
        await dying(world, point, {"reference": "rma", "amount": amount("20.00")}, f"/v1/payments/{p['id']}/refunds")
        p = await until(world, p["id"], lambda p: p["amount_refunded"]["value"] == "20.00")
        given = [
            part["refund", "approved", minor] for part, minor in zip(await moved(world, p), (250, 1750), strict=True)
        ]
        assert given == [1, 1], point

    await known(world)
    await asyncio.gather(*(flow(point) for point in MOVING for flow in (captured, refunded)))


async def test_a_worker_that_dies_leaves_it_to_the_next(world: World):
    """The payer comes back, and it is a worker that goes on."""
    for point in WORKING:
        tokens = ("stripe", "pm_card_visa"), ("adyen", "stored_challenge_always")
        _, p = await split(world, *tokens, return_url="https://shop.example/return")
        assert p["status"] == "requires_action", p
        world.kill("worker")
        world.start("worker", SCROOGE_CRASH_POINT=point, SCROOGE_PSP_TIMEOUT_SECONDS="1")
        await follow(world, p["next_action"]["url"], "success")
        assert await asyncio.to_thread(world.processes["worker"].wait, 60) == -9, point
        world.start("worker")
        p = await settled(world, p, "captured")
        assert await moved(world, p) == PAID, point


async def test_what_is_to_be_captured_with_the_payment_no_caller_captures_in_part(world: World):
    """Both are held, and whoever was about to capture them died."""
    p = await dying(world, "split.step:3", await body_of(world))
    status, problem = await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount("5.00"), "final": True})
    assert (status, problem["code"]) == (409, "capture_in_flight"), problem
    assert await moved(world, await settled(world, p, "captured")) == PAID


async def test_what_could_not_be_done_for_a_day_is_looked_at_again(world: World):
    p = await held(world)
    connection = await asyncpg.connect(world.database_url)
    await connection.execute("UPDATE splits SET looks = 2000 WHERE payment_id = $1", hex_of(p["id"]))
    await connection.close()
    async with alone(world) as s:
        assert await keep(s, p["id"], moved=False, paused=True) is not None
