"""A declined renewal may be paid under another mandate of the same payer, if that one says so: each once, and no other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.flows.test_mandates import MONTHLY, renew, revoke
from tests.flows.test_mandates import agreed as consented
from tests.flows.test_refreshed import EXPIRED, step_of, turn
from tests.flows.test_retries import POOR, in_days
from tests.flows.test_retries_raced import read
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Means, Phase
from scrooge.flows import update_links
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage.directory import Principal

OPTED_IN = {**MONTHLY, "fallback": True}


async def agreed(world: World, **more: Any) -> dict[str, Any]:
    """With its mandate's row, which a worker writes otherwise."""
    p = await consented(world, **more)
    assert (await world.get(f"/v1/mandates/{p['mandate']}"))[0] == 200
    return p


async def with_card(sql: Any, mandate: dict[str, Any], token: str) -> None:
    """From now on the mandate's instrument stands for another card."""
    await sql.execute(
        "UPDATE credentials SET psp_token = $2 WHERE instrument_id = $1", hex_of(mandate["instrument"]["id"]), token
    )


async def declined(world: World, s: Scrooge, mandate: str, **more: Any) -> Payment:
    status, p = await renew(world, mandate, retry_until=in_days(20), **more)
    assert (status, p["status"]) == (201, "declined"), p
    return await read(s, p["id"])


async def as_far_as(s: Scrooge, p: Payment, phase: Phase, means: Means) -> Payment:
    for _ in range(8):
        if step_of(p)[:2] == (phase, means):
            return p
        p = await turn(s, p)
    raise AssertionError(step_of(p))


@pytest.fixture(autouse=True)
async def nobody_else(sql: Any) -> AsyncIterator[None]:
    """What opts in here pays nothing elsewhere."""
    yield
    await sql.execute(
        "UPDATE mandates SET status = 'revoked', revoked_at = now(), revoked_because = 'test', revoked_by = 'merchant'"
        " WHERE fallback AND status <> 'revoked'"
    )


async def test_another_mandate_that_opted_in_pays_and_the_payment_says_which(
    world: World, s: Scrooge, sql, monkeypatch
):
    first, other = await agreed(world), await agreed(world, save_for=OPTED_IN)
    _, m = await world.get(f"/v1/mandates/{other['mandate']}")
    assert (m["consent"]["fallback"], other["save_for"]["fallback"]) == (True, True)
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.LOOKING, Means.OTHER_MANDATE)
    p = await turn(s, p)
    assert step_of(p) == (Phase.SCHEDULED, Means.OTHER_MANDATE, 1), "found, and nothing sent yet"
    await asyncio.gather(*(turn(s, p) for _ in range(6)))
    p = await read(s, p.id)
    assert step_of(p) == (Phase.RECOVERED, Means.OTHER_MANDATE, 2)
    _, told = await world.get(f"/v1/payments/{p.id}")
    assert (told["status"], told["mandate"], told["instrument"]["id"]) == (
        "captured", other["mandate"], other["instrument"]["id"],
    )  # fmt: skip
    assert told["recovery"]["means"] == "other_mandate"
    linked: list[str] = []

    async def make(_: Scrooge, who: Principal, mandate: str, *more: object) -> None:
        linked.append(mandate)

    monkeypatch.setattr(update_links, "make", make)
    who = Principal("", p.merchant, "tests", p.caller, "", frozenset(), p.livemode)
    await update_links.of_payment(s, who, p.id, None, 600)
    assert linked == [first["mandate"]], "the card that was declined is the one to be replaced"


@pytest.mark.parametrize(
    "terms",
    [
        MONTHLY,
        {**OPTED_IN, "use": "unscheduled"},
        {**OPTED_IN, "max": {"value": "12.98", "currency": "EUR"}},
        {**OPTED_IN, "max": {"value": "20.00", "currency": "USD"}},
    ],
)
async def test_one_that_did_not_opt_in_or_was_agreed_for_something_else_pays_nothing(
    world: World, s: Scrooge, sql, terms: dict[str, Any]
):
    first = await agreed(world)
    await agreed(world, save_for=terms, value="5.00", currency=terms["max"]["currency"])
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.CUSTOMER, Means.CUSTOMER)
    assert len(p.attempts) == 1


async def test_that_of_another_payer_pays_nothing(world: World, s: Scrooge, sql):
    first, other = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await sql.execute("ALTER TABLE mandates DISABLE TRIGGER append_only")
    await sql.execute("UPDATE mandates SET customer = 'user-2' WHERE id = $1", hex_of(other["mandate"]))
    await sql.execute("ALTER TABLE mandates ENABLE TRIGGER append_only")
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.CUSTOMER, Means.CUSTOMER)
    assert len(p.attempts) == 1


async def test_each_other_mandate_is_tried_once_and_then_the_payer_is_asked_under_the_own_one(
    world: World, s: Scrooge, sql
):
    first = await agreed(world)
    others = [await agreed(world, save_for=OPTED_IN) for _ in range(2)]
    for one in others:
        await with_card(sql, one, POOR["stripe"])
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.CUSTOMER, Means.CUSTOMER)
    assert len(p.attempts) == 3, "its own and each other, once"
    assert p.mandate == first["mandate"]
    assert step_of(await turn(s, p)) == (Phase.CUSTOMER, Means.CUSTOMER, 3), "its own card is as it was"


@pytest.mark.parametrize("whose", ["own", "other"])
async def test_a_mandate_that_is_revoked_before_the_other_one_pays_stops_it(world: World, s: Scrooge, sql, whose: str):
    first, other = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.SCHEDULED, Means.OTHER_MANDATE)
    await revoke(world, (first if whose == "own" else other)["mandate"])
    p = await turn(s, p)
    assert len(p.attempts) == 1
    if whose == "own":
        assert step_of(p)[0] is Phase.LOST


async def test_an_own_mandate_that_is_revoked_at_the_last_moment_stops_the_record(
    world: World, s: Scrooge, sql, monkeypatch
):
    """After everything was looked at, and before the attempt is written: the statement asks for both."""
    first, _ = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.SCHEDULED, Means.OTHER_MANDATE)

    async def as_before(*_: object) -> bool:
        await revoke(world, first["mandate"])
        return False

    monkeypatch.setattr("scrooge.flows.retries.replaced", as_before)
    p = await turn(s, p)
    assert len(p.attempts) == 1


async def test_what_the_caller_asks_again_is_under_the_payments_own_mandate(world: World, s: Scrooge, sql):
    first, _ = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await with_card(sql, first, EXPIRED)
    p = await as_far_as(s, await declined(world, s, first["mandate"]), Phase.SCHEDULED, Means.OTHER_MANDATE)
    await with_card(sql, first, "pm_card_visa")
    status, told = await world.post(f"/v1/payments/{p.id}/authorizations", {})
    assert (status, told["status"], told["mandate"]) == (201, "captured", first["mandate"]), told
    assert told["instrument"]["id"] == first["instrument"]["id"]
    assert (await read(s, p.id)).mandate == first["mandate"]
    assert told["recovery"]["why"] == "withdrawn"


async def test_what_its_caller_asks_after_the_other_mandate_paid_is_under_the_own_one_for_good(
    world: World, s: Scrooge, sql
):
    """What an issuer withdraws then is that one."""
    first, other = await agreed(world), await agreed(world, save_for=OPTED_IN)
    await with_card(sql, first, EXPIRED)
    p = await declined(world, s, first["mandate"], capture="manual")
    p = await as_far_as(s, p, Phase.RECOVERED, Means.OTHER_MANDATE)
    assert p.mandate == other["mandate"]
    assert (await world.post(f"/v1/payments/{p.id}/voids", {}))[0] in {200, 201, 202}
    await with_card(sql, first, "pm_card_sandbox_revoked")
    status, told = await world.post(f"/v1/payments/{p.id}/authorizations", {})
    assert (status, told["status"], told["instrument"]["id"]) == (201, "declined", first["instrument"]["id"]), told
    assert (await read(s, p.id)).mandate == first["mandate"]
    found = [(await world.get(f"/v1/mandates/{m['mandate']}"))[1]["status"] for m in (first, other)]
    assert found == ["revoked", "active"]
