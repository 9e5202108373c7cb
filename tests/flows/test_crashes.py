"""Processes die at the worst moments, by SIGKILL; the money is right anyway, and the key still answers."""

import asyncio
import uuid

import aiohttp
from tests.flows.test_payments import amount, effects, until
from tests.world import TOKENS, World

QUICK = {"SCROOGE_PSP_TIMEOUT_SECONDS": "2"}  # The question about what died follows soon after its deadline.
CREATE = ["record.before", "record.after", "send.before", "send.after", "apply.before", "apply.after"]
MODIFY = ["record.after", "send.after", "apply.before"]
OPERATIONS = ["captures", "voids", "refunds"]


async def persist(
    world: World, body: dict[str, object], key: str, path: str = "/v1/payments", at: str | None = None
) -> dict:
    """What a careful client does: the same request with the same key until it has an answer, first from `at`."""
    for _ in range(1200):
        try:
            status, answer = await world.post(path, body, idempotency=key, at=at)
        except (OSError, aiohttp.ClientError):
            at = None
            await asyncio.sleep(0.1)
            continue
        if status in {201, 202}:
            return answer
        assert answer["code"] in {"request_in_progress", "database_unavailable"}, answer
        await asyncio.sleep(0.1)
    raise AssertionError("no answer")


async def dying(world: World, point: str, body: dict[str, object], path: str = "/v1/payments") -> dict:
    """The answer to a request whose process dies of its crash point; another one gives it."""
    name = uuid.uuid4().hex
    at = await asyncio.to_thread(world.start_beside, name, SCROOGE_CRASH_POINT=point, **QUICK)
    answer = await persist(world, body, uuid.uuid4().hex, path, at)
    process = world.processes.pop(name)
    for _ in range(1200):  # One that dies after its answer may take a moment.
        if process.poll() is not None:
            break
        await asyncio.sleep(0.05)
    else:
        process.kill()
    assert process.wait() == -9, f"the crash point {point} was not reached"
    return answer


async def test_a_crash_while_paying_never_pays_twice_and_never_loses_it(world: World):
    """All at once, for most of the time is waiting."""
    instruments = {psp: await world.instrument(**{psp: token}) for psp, token in TOKENS.items()}

    async def paid(point: str, psp: str) -> None:
        body = {"reference": uuid.uuid4().hex, "amount": amount("5.00"), "instrument": instruments[psp]}
        answer = await dying(world, point, body)
        p = await until(world, answer["id"], lambda p: p["outcome_certainty"] == "certain")
        assert p["status"] == "captured", (point, psp)
        assert effects(await world.truth(), p["id"]) == {("sale", "approved", 500): 1}, (point, psp)
        assert [j["effect"] for j in p["journals"]] == ["sale_approved"], (point, psp)

    await asyncio.gather(*(paid(point, psp) for point in CREATE for psp in TOKENS))


async def test_a_crash_while_modifying_moves_the_money_once(world: World):
    async def modified(point: str, operation: str) -> None:
        _, p = await world.pay("stripe", capture="automatic" if operation == "refunds" else "manual")
        body: dict[str, object] = {"reference": "r-1"} if operation == "refunds" else {}
        await dying(world, point, body, f"/v1/payments/{p['id']}/{operation}")
        final = {"captures": "captured", "voids": "voided", "refunds": "refunded"}[operation]
        await until(world, p["id"], lambda p: p["status"] == final)
        truth = effects(await world.truth(), p["id"])
        kind = operation.removesuffix("s")
        assert sum(n for (what, _, _), n in truth.items() if what == kind) == 1, (point, operation)

    await world.instrument(stripe=TOKENS["stripe"])
    await asyncio.gather(*(modified(point, operation) for point in MODIFY for operation in OPERATIONS))


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
