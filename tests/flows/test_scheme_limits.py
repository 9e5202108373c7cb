"""What the schemes allow of trying a card again, through the API: what is refused, shown, repeated, killed."""

import asyncio
import contextlib
import uuid
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.conftest import wait_for
from tests.world import World

from scrooge.ids import hex_of

# Cards of their own, for a PSP says of each of its tokens which card it is, and a card is counted whoever pays with it.
DECLINED = {"stripe": "pm_card_visa_chargeDeclined", "adyen": "stored_do_not_honor"}
POOR = {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds", "adyen": "stored_insufficient_funds"}
VELOCITY = "pm_card_visa_chargeDeclinedVelocityLimitExceeded"
EXPIRED = "pm_card_chargeDeclinedExpiredCard"


@pytest.fixture(scope="module")
async def limited(world: World):
    """Another serve, which holds test mode to the limits: its URL."""
    yield world.start_beside("limited", SCROOGE_SCHEME_LIMITS="all")
    world.kill("limited")


async def card(world: World, **tokens: str) -> str:
    """An instrument of its own, of a brand that nobody names: seven declines in 24 hours."""
    credentials = [{"connector_account": c, "psp_token": t} for c, t in tokens.items()]
    status, made = await world.post("/v1/instruments", {"customer": "user-1", "credentials": credentials})
    assert status == 201, made
    return made["id"]


async def test_past_the_limit_nothing_is_recorded_and_the_rule_is_named(world: World, limited: str):
    instrument = await card(world, stripe=EXPIRED)
    keys = [uuid.uuid4().hex for _ in range(7)]
    said = [await world.pay(instrument=instrument, at=limited, idempotency=k, reference=k) for k in keys]
    assert [p["status"] for _, p in said] == ["declined"] * 7
    key = uuid.uuid4().hex
    status, problem = await world.pay(instrument=instrument, at=limited, idempotency=key, reference=key)
    assert (status, problem["code"], problem["rule"]) == (422, "reattempt_refused", "other-day")
    assert problem["until"] > said[0][1]["created_at"]
    status, found = await world.get(f"/v1/payments?reference={key}")
    assert (status, found["data"]) == (200, []), "nothing is recorded"
    status, same = await world.pay(instrument=instrument, at=limited, idempotency=keys[0], reference=keys[0])
    assert (status, same["id"]) == (201, said[0][1]["id"]), "a repeated key is answered as before"
    status, again = await world.post(f"/v1/payments/{said[0][1]['id']}/authorizations", {}, at=limited)
    assert (status, again["code"]) == (422, "reattempt_refused")


async def test_a_cascade_stops_where_the_limit_is_and_the_timeline_says_so(world: World, limited: str):
    instrument = await card(world, **DECLINED)
    for _ in range(3):
        status, p = await world.pay(instrument=instrument, at=limited)
        assert (status, p["status"]) == (201, "declined")
    status, last = await world.pay(instrument=instrument, at=limited)
    assert (status, last["status"]) == (201, "declined")
    _, shown = await world.get(f"/v1/payments/{last['id']}?expand=attempts,timeline")
    assert len(shown["attempts"]) == 1, "it was the seventh; the one at the next PSP would have been the eighth"
    [why] = [m["content"]["because"] for m in shown["timeline"] if m["type"] == "next_step"]
    assert "other-day" in why


async def test_a_soft_decline_is_asked_again_with_3_d_secure_if_the_payer_is_there(world: World):
    for name, token in (("stripe", "pm_card_sandbox_softDecline"), ("adyen", "stored_authentication_required")):
        instrument = await card(world, **{name: token})
        status, p = await world.pay(instrument=instrument, return_url="https://shop.example/r")
        assert (status, p["status"]) == (201, "requires_action"), p
        _, shown = await world.get(f"/v1/payments/{p['id']}?expand=attempts,timeline")
        assert [a["status"] for a in shown["attempts"]] == ["declined", "action_required"]
        assert any(m["type"] == "next_step" for m in shown["timeline"])
        _, alone = await world.pay(instrument=instrument)
        assert alone["status"] == "declined", "with nowhere to come back to, nobody is sent away"


async def test_two_hundred_at_once_and_a_process_killed_among_them_stay_within_the_limit(world: World):
    """Judged by what is in the tables of attempts, not by the counters."""
    instrument = await card(world, stripe=VELOCITY)
    url = world.start_beside("doomed", SCROOGE_SCHEME_LIMITS="all")
    beside = world.start_beside("survivor", SCROOGE_SCHEME_LIMITS="all")

    async def one(n: int) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await world.pay(instrument=instrument, at=url if n % 2 else beside)

    running = [asyncio.create_task(one(n)) for n in range(200)]
    owner = await asyncpg.connect(world.database_url)
    counted = """SELECT count(*) FROM attempts a JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id
                  WHERE p.instrument_id = $1 AND a.operation = 'authorize' AND a.state NOT IN ('approved', 'rejected')"""
    while not await owner.fetchval(counted, hex_of(instrument)):
        await asyncio.sleep(0.01)
    world.kill("doomed")
    await asyncio.gather(*running)
    wait_for(f"{beside}/healthz", world.processes["survivor"])
    for _ in range(10):
        status, problem = await world.pay(instrument=instrument, at=beside)
        if status != 201:
            assert problem["code"] == "reattempt_refused"
    assert await owner.fetchval(counted, hex_of(instrument)) == 7
    await owner.close()
    world.kill("survivor")


async def heard(world: World, instrument: str) -> None:
    """Until the database knows what the PSP calls its card."""
    owner = await asyncpg.connect(world.database_url)
    async with asyncio.timeout(30):
        while not await owner.fetchval(
            "SELECT card_fingerprint FROM credentials WHERE instrument_id = $1", hex_of(instrument)
        ):
            await asyncio.sleep(0.05)
    await owner.close()


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_a_card_that_was_saved_twice_has_one_limit(world: World, limited: str, psp: str):
    """A second token of the same card: the PSP says so with its first answer, and the seven declines are those of both."""
    first, second = [await card(world, **{psp: POOR[psp]}) for _ in range(2)]
    for instrument, times in ((first, 4), (second, 3)):
        said = [(await world.pay(instrument=instrument, at=limited))[1] for _ in range(times - 1)]
        await heard(world, instrument)
        said.append((await world.pay(instrument=instrument, at=limited))[1])
        assert [p["status"] for p in said] == ["declined"] * times
    for instrument in (first, second):
        status, problem = await world.pay(instrument=instrument, at=limited)
        assert (status, problem["code"], problem["rule"]) == (422, "reattempt_refused", "other-day")


async def test_a_verification_is_counted_and_refused_like_any_attempt_with_its_card(world: World, limited: str):
    instrument = await card(world, adyen="stored_limit_exceeded")
    path = f"/v1/instruments/{instrument}/verifications"

    async def verified() -> tuple[int, dict[str, Any]]:
        return await world.post(path, {"reference": uuid.uuid4().hex, "currency": "EUR"}, at=limited)

    said = [await verified() for _ in range(7)]
    assert [v["status"] for _, v in said] == ["declined"] * 7
    status, problem = await verified()
    assert (status, problem["code"]) == (422, "reattempt_refused")
    status, problem = await world.pay(instrument=instrument, at=limited)
    assert (status, problem["code"]) == (422, "reattempt_refused"), "the payment would be the eighth"
    instrument = await card(world, adyen="stored_restricted_card")
    path = f"/v1/instruments/{instrument}/verifications"
    assert (await verified())[1]["status"] == "declined"
    status, problem = await world.pay(instrument=instrument, at=limited)
    assert (status, problem["code"]) == (422, "reattempt_refused"), "its issuer has said to stop"
