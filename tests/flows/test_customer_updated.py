"""The payer gives a mandate another card while a declined renewal waits: it is tried at once, and once."""

import asyncio

from tests.flows.test_fallback import agreed, as_far_as, with_card
from tests.flows.test_mandates import renew
from tests.flows.test_refreshed import EXPIRED, step_of, turn
from tests.flows.test_retries import POOR, card, in_days
from tests.flows.test_retries_raced import read
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Means, Phase
from scrooge.errors import ReattemptRefused
from scrooge.flows import retries
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage import recoveries
from scrooge.storage import retries as queue


async def another_card(s: Scrooge, sql, mandate: str, instrument: str) -> None:
    """As the page for it does, in one transaction."""
    await sql.execute(
        "UPDATE mandates SET earlier = coalesce(earlier, '[]') || jsonb_build_array(jsonb_build_object("
        "'instrument_id', instrument_id, 'connector_account_id', connector_account_id, 'network_transaction_id',"
        " network_transaction_id, 'until', now(), 'verification_id', id)), instrument_id = $2 WHERE id = $1",
        hex_of(mandate), hex_of(instrument),
    )  # fmt: skip
    async with s.db.transaction() as connection:
        await recoveries.card_updated(connection, mandate)


async def its_turn(s: Scrooge, p: Payment) -> bool:
    return any(d.payment == p.id for d in await queue.claim(s.db, 1000, 60.0))


async def test_a_card_that_the_payer_gives_ends_the_wait_for_them_and_is_tried_once(world: World, s: Scrooge, sql):
    first = await agreed(world)
    await with_card(sql, first, EXPIRED)
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    p = await as_far_as(s, await read(s, told["id"]), Phase.CUSTOMER, Means.CUSTOMER)
    _, told = await world.get(f"/v1/payments/{p.id}")
    assert (told["recovery"]["need"], told["recovery"]["update_links"]) == (
        "update_card", f"/v1/payments/{p.id}/update-links",
    )  # fmt: skip
    new = await card(world, stripe="pm_card_mastercard")
    await another_card(s, sql, first["mandate"], new)
    assert await its_turn(s, p)
    p = await turn(s, p)
    assert step_of(p) == (Phase.SCHEDULED, Means.CUSTOMER, 1), "seen, and nothing sent yet"
    await asyncio.gather(*(turn(s, p) for _ in range(6)))
    p = await read(s, p.id)
    assert step_of(p) == (Phase.RECOVERED, Means.CUSTOMER, 2)
    assert p.retry is not None
    assert (p.retry.why, p.instrument) == ("customer_updated", new)


async def test_it_ends_the_wait_for_money_too_and_a_card_that_is_poor_as_well_is_not_tried_twice(
    world: World, s: Scrooge, sql
):
    first = await agreed(world)
    await with_card(sql, first, POOR["stripe"])
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    p = await read(s, told["id"])
    assert step_of(p) == (Phase.SCHEDULED, Means.WAIT, 1)
    async with s.db.transaction() as connection:
        await recoveries.card_updated(connection, first["mandate"])
    assert not await its_turn(s, p), "nothing has changed"
    new = await card(world, stripe=POOR["stripe"])
    await another_card(s, sql, first["mandate"], new)
    assert await its_turn(s, p)
    p = await turn(s, await turn(s, p))
    assert step_of(p) == (Phase.SCHEDULED, Means.WAIT, 2)
    for _ in range(2):
        async with s.db.transaction() as connection:
            await recoveries.card_updated(connection, first["mandate"])
    assert not await its_turn(s, p), "the same news again"


async def test_a_card_that_may_not_be_asked_is_given_up_and_the_payer_is_waited_for_again(
    world: World, s: Scrooge, sql, monkeypatch
):
    first = await agreed(world)
    await with_card(sql, first, EXPIRED)
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    p = await as_far_as(s, await read(s, told["id"]), Phase.CUSTOMER, Means.CUSTOMER)
    new = await card(world, stripe="pm_card_mastercard")

    async def refused(*_: object) -> None:
        raise ReattemptRefused("its issuer has said never", rule="never", until=None)

    with monkeypatch.context() as patch:
        patch.setattr(retries, "asked_for", refused)
        await another_card(s, sql, first["mandate"], new)
        for _ in range(8):
            p = await turn(s, p)
    assert step_of(p) == (Phase.CUSTOMER, Means.CUSTOMER, 1)
    assert p.retry is not None
    assert p.retry.seq <= 8, "and not over and over"
    await another_card(s, sql, first["mandate"], await card(world, stripe="pm_card_visa"))
    p = await turn(s, await turn(s, p))
    assert step_of(p) == (Phase.RECOVERED, Means.CUSTOMER, 2), "but another one is tried"


async def test_news_of_a_card_that_comes_while_a_worker_looks_is_not_forgotten(world: World, s: Scrooge, sql):
    first = await agreed(world)
    await with_card(sql, first, EXPIRED)
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    p = await as_far_as(s, await read(s, told["id"]), Phase.CUSTOMER, Means.CUSTOMER)
    assert p.retry is not None
    await sql.execute("UPDATE retries SET due_at = now() WHERE payment_id = $1 AND due_at IS NOT NULL", hex_of(p.id))
    [due] = [d for d in await queue.claim(s.db, 1000, 60.0) if d.payment == p.id]
    await another_card(s, sql, first["mandate"], await card(world, stripe="pm_card_visa"))
    await queue.again(s.db, due, 3600.0)  # The worker had looked before.
    assert await its_turn(s, p)


async def test_a_mandate_in_the_control_arm_is_left_to_the_timetable(world: World, s: Scrooge, sql):
    first = await agreed(world)
    await with_card(sql, first, POOR["stripe"])
    _, told = await renew(world, first["mandate"], retry_until=in_days(20))
    await sql.execute("ALTER TABLE retries DISABLE TRIGGER append_only")
    await sql.execute("UPDATE retries SET control = true WHERE payment_id = $1", hex_of(told["id"]))
    await sql.execute("ALTER TABLE retries ENABLE TRIGGER append_only")
    await with_card(sql, first, EXPIRED)
    p = await turn(s, await read(s, told["id"]))
    assert step_of(p)[::2] == (Phase.LOST, 2), "nobody is asked, nothing refreshed"
    assert p.retry is not None
    assert (p.retry.why, p.retry.control) == ("hard_decline", True)
