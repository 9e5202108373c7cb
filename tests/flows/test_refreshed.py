"""A credential that is out of date is refreshed before anything is sent again: once for each newer card."""

import asyncio
from typing import Any

import pytest
from tests.flows.test_mandates import agreed, renew, revoke
from tests.flows.test_retries import in_days
from tests.flows.test_retries_raced import read
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Means, Phase
from scrooge.flows import recoveries, refresh, retries
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage import instruments
from scrooge.storage import retries as queue
from scrooge.storage.retries import Due

EXPIRED = "pm_card_chargeDeclinedExpiredCard"


async def stored(world: World, s: Scrooge) -> tuple[str, str]:
    """An instrument that stands for a card which its issuer calls expired: (it, its token at Stripe)."""
    base, headers = f"{world.sandbox_url}/stripe/v1", {"Authorization": f"Bearer {world.stripe_key}"}

    async def post(path: str, **form: str) -> dict[str, Any]:
        async with s.http.post(f"{base}/{path}", data=form, headers=headers) as answer:
            return await answer.json()

    customer = (await post("customers"))["id"]
    token = (await post(f"payment_methods/{EXPIRED}/attach", customer=customer))["id"]
    status, made = await world.post(
        "/v1/instruments",
        {"customer": "user-1", "card": {"brand": "visa", "last4": "0069", "exp": "2020-01"},
         "credentials": [{"connector_account": "stripe", "psp_token": token, "psp_customer": customer}]},
    )  # fmt: skip
    assert status == 201, made
    return made["id"], token


async def at_the_psp(world: World, s: Scrooge, token: str, kind: str = "number") -> None:
    """The issuer sent another card, and the PSP knows it: the card of the next number is approved."""
    body = {"connector": "stripe", "kind": kind, "token": token}
    async with s.http.post(f"{world.sandbox_url}/updates", json=body) as answer:
        assert await answer.json() == {"updated": [token]}


async def expired(world: World, s: Scrooge, instrument: str) -> Payment:
    status, p = await world.pay(
        instrument=instrument, initiator="merchant", purpose="subscription_renewal", retry_until=in_days(20)
    )
    assert (status, p["status"], p["recovery"]["means"]) == (201, "declined", "refresh"), p
    return await read(s, p["id"])


async def turn(s: Scrooge, p: Payment, claims: int = 1) -> Payment:
    """One turn of its last step."""
    assert p.retry is not None
    await retries.run(s, Due(p.id, p.retry.seq, claims, "tests"))
    return await read(s, p.id)


def step_of(p: Payment) -> tuple[Phase, Means | None, int]:
    assert p.retry is not None
    return p.retry.phase, p.retry.means, len(p.attempts)


async def seen_once(s: Scrooge, world: World, instrument: str, token: str) -> None:
    """What is behind the token becomes known, as it does where a payment saved it."""
    held = (await instruments.read(s.db, [instrument]))[instrument]
    assert await refresh.asked(s, held)


async def test_a_newer_card_that_the_psp_knows_is_tried_at_once_and_once(world: World, s: Scrooge):
    instrument, token = await stored(world, s)
    p = await expired(world, s, instrument)
    await at_the_psp(world, s, token)
    p = await turn(s, p)
    assert step_of(p) == (Phase.SCHEDULED, Means.REFRESH, 1), "found, and nothing sent yet"
    before = p
    await asyncio.gather(*(turn(s, before) for _ in range(8)))
    p = await read(s, p.id)
    assert step_of(p) == (Phase.RECOVERED, Means.REFRESH, 2)
    _, told = await world.get(f"/v1/payments/{p.id}")
    assert (told["status"], told["recovery"]["state"], told["recovery"]["means"]) == (
        "captured",
        "recovered",
        "refresh",
    )
    assert (await instruments.read(s.db, [instrument]))[instrument].last4 != "0069"


async def test_where_nobody_knows_a_newer_card_the_payer_is_needed(world: World, s: Scrooge):
    instrument, token = await stored(world, s)
    await seen_once(s, world, instrument, token)
    p = await turn(s, await expired(world, s, instrument))
    assert step_of(p) == (Phase.CUSTOMER, Means.CUSTOMER, 1)
    assert step_of(await turn(s, p)) == (Phase.CUSTOMER, Means.CUSTOMER, 1), "they have time"


async def test_news_of_a_newer_card_ends_the_wait_for_the_payer_and_the_same_news_twice_is_one_attempt(
    world: World, s: Scrooge, sql
):
    instrument, token = await stored(world, s)
    await seen_once(s, world, instrument, token)
    p = await turn(s, await expired(world, s, instrument))
    assert step_of(p)[0] is Phase.CUSTOMER
    await at_the_psp(world, s, token, "expiry")
    for _ in range(2):
        await seen_once(s, world, instrument, token)
    due = [d for d in await queue.claim(s.db, 1000, 60.0) if d.payment == p.id]
    assert len(due) == 1, "its turn is now"
    p = await turn(s, p)
    assert step_of(p) == (Phase.SCHEDULED, Means.REFRESH, 1)
    p = await turn(s, p)
    assert step_of(p) == (Phase.CUSTOMER, Means.CUSTOMER, 2), "the issuer calls this one expired, too"
    await sql.execute(
        "UPDATE instruments SET renewed_at = now() + interval '9 seconds' WHERE id = $1", hex_of(instrument)
    )
    p = await turn(s, await turn(s, p))
    assert step_of(p) == (Phase.CUSTOMER, Means.CUSTOMER, 3), "another one"
    assert step_of(await turn(s, await turn(s, p))) == (Phase.CUSTOMER, Means.CUSTOMER, 3), "not the same again"


async def test_a_psp_that_does_not_answer_is_asked_again_and_not_for_ever(world: World, s: Scrooge, monkeypatch):
    instrument, _ = await stored(world, s)
    p = await expired(world, s, instrument)

    async def silent(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(refresh, "exchange", silent)
    p = await turn(s, p)
    assert step_of(p) == (Phase.LOOKING, Means.REFRESH, 1), "nobody could say"
    p = await turn(s, p, claims=recoveries.LOOKS_MAX)
    assert step_of(p) == (Phase.CUSTOMER, Means.CUSTOMER, 1)


async def test_a_token_that_the_psp_does_not_show_is_kept(world: World, s: Scrooge):
    """That it is gone is for news of it to say: a refresh that dropped it would end the mandate."""
    status, made = await world.post(
        "/v1/instruments",
        {"customer": "user-1", "credentials": [{"connector_account": "stripe", "psp_token": EXPIRED}]},
    )
    assert status == 201
    p = await turn(s, await expired(world, s, made["id"]))
    assert step_of(p)[0] is Phase.CUSTOMER
    assert len((await instruments.read(s.db, [made["id"]]))[made["id"]].credentials) == 1


@pytest.mark.parametrize("phase", [Phase.LOOKING, Phase.CUSTOMER])
async def test_a_mandate_that_is_revoked_ends_it_at_once_whatever_it_waits_for(
    world: World, s: Scrooge, sql, phase: Phase
):
    first = await agreed(world)
    await sql.execute(
        "UPDATE credentials SET psp_token = $2 WHERE instrument_id = $1", hex_of(first["instrument"]["id"]), EXPIRED
    )
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    p = await read(s, told["id"])
    while step_of(p)[0] is not phase:
        p = await turn(s, p)
    await revoke(world, first["mandate"])
    due = [d for d in await queue.claim(s.db, 1000, 60.0) if d.payment == p.id]
    assert len(due) == 1, "its turn is now"
    p = await turn(s, p)
    assert step_of(p)[::2] == (Phase.LOST, 1)
    assert p.retry is not None
    assert p.retry.why == "withdrawn"


async def test_nothing_is_looked_for_after_the_deadline(world: World, s: Scrooge, sql):
    instrument, token = await stored(world, s)
    p = await expired(world, s, instrument)
    await at_the_psp(world, s, token)
    await sql.execute("UPDATE payments SET retry_until = now() WHERE id = $1", hex_of(p.id))
    p = await turn(s, p)
    assert step_of(p)[::2] == (Phase.LOST, 1)
