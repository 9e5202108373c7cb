"""Processes die at the worst moments, by SIGKILL; the money is right anyway, and the key still answers."""

import asyncio
import uuid

import aiohttp
import pytest
from tests.flows.test_payments import amount, effects, until
from tests.world import World

QUICK = {"SCROOGE_PSP_TIMEOUT_SECONDS": "2"}  # The question about what died follows soon after its deadline.
CREATE = ["record.before", "record.after", "send.before", "send.after", "apply.before", "apply.after"]


async def persist(world: World, body: dict[str, object], key: str, path: str = "/v1/payments") -> dict:
    """What a careful client does: the same request with the same key until it has an answer."""
    for _ in range(1200):
        try:
            status, answer = await world.post(path, body, idempotency=key)
        except (OSError, aiohttp.ClientError):
            await asyncio.sleep(0.1)
            continue
        if status in {201, 202}:
            return answer
        assert answer["code"] in {"request_in_progress", "database_unavailable"}, answer
        await asyncio.sleep(0.1)
    raise AssertionError("no answer")


async def restart_after_crash(world: World) -> None:
    """Waits for serve to die of its crash point, and starts a sound one."""
    process = world.processes["serve"]
    for _ in range(1200):
        if process.poll() is not None:
            break
        await asyncio.sleep(0.05)
    assert process.returncode == -9, "the crash point was not reached"
    world.start("serve")


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
@pytest.mark.parametrize("point", CREATE)
async def test_a_crash_while_paying_never_pays_twice_and_never_loses_it(world: World, point: str, psp: str):
    instrument = await world.instrument(**{psp: {"stripe": "pm_card_visa", "adyen": "stored_visa"}[psp]})
    world.kill("serve")
    world.start("serve", SCROOGE_CRASH_POINT=point, **QUICK)
    body = {"reference": uuid.uuid4().hex, "amount": amount("5.00"), "instrument": instrument}
    key = uuid.uuid4().hex
    paying = asyncio.create_task(persist(world, body, key))
    await restart_after_crash(world)
    answer = await paying
    p = await until(world, answer["id"], lambda p: p["outcome_certainty"] == "certain")
    assert p["status"] == "captured"
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 500): 1}
    assert [j["effect"] for j in p["journals"]] == ["sale_approved"]


@pytest.mark.parametrize("point", ["record.after", "send.after", "apply.before"])
@pytest.mark.parametrize("operation", ["captures", "voids", "refunds"])
async def test_a_crash_while_modifying_moves_the_money_once(world: World, point: str, operation: str):
    _, p = await world.pay("stripe", capture="automatic" if operation == "refunds" else "manual")
    world.kill("serve")
    world.start("serve", SCROOGE_CRASH_POINT=point, **QUICK)
    body = {"reference": "r-1"} if operation == "refunds" else {}
    modifying = asyncio.create_task(persist(world, body, uuid.uuid4().hex, f"/v1/payments/{p['id']}/{operation}"))
    await restart_after_crash(world)
    await modifying
    final = {"captures": "captured", "voids": "voided", "refunds": "refunded"}[operation]
    await until(world, p["id"], lambda p: p["status"] == final)
    kind = operation.removesuffix("s")
    truth = effects(await world.truth(), p["id"])
    assert sum(count for (what, _, _), count in truth.items() if what == kind) == 1


async def test_serve_killed_in_the_middle_of_load_leaves_every_payment_right(world: World):
    instrument = await world.instrument(stripe="pm_card_visa", adyen="stored_visa")
    other = await world.instrument(adyen="stored_visa", stripe="pm_card_visa")

    async def pay(n: int) -> dict:
        body = {
            "reference": f"load-{uuid.uuid4().hex}", "amount": amount("3.00"), "instrument": (instrument, other)[n % 2],
        }  # fmt: skip
        return await persist(world, body, uuid.uuid4().hex)

    paying = [asyncio.create_task(pay(n)) for n in range(150)]
    await asyncio.sleep(0.4)
    world.kill("serve")
    world.kill("worker")
    world.start("serve")
    world.start("worker")
    answers = await asyncio.gather(*paying)
    truth = await world.truth()
    for answer in answers:
        p = await until(world, answer["id"], lambda p: p["outcome_certainty"] == "certain")
        assert p["status"] == "captured"
    truth = await world.truth()
    for answer in answers:
        assert effects(truth, answer["id"]) == {("sale", "approved", 300): 1}
