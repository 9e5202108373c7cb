"""What becomes of a retry when the decline before it was none, when it is canceled half way, and at its very end."""

from typing import Any

import pytest
from msgspec import structs
from tests.flows.test_mandates import agreed, renew
from tests.flows.test_retries import POOR, card, its_time_comes, money_arrives, renewal
from tests.flows.test_retries_raced import read
from tests.world import World

from scrooge.domain.attempt import State
from scrooge.domain.outcome import Approved, Reversed
from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Phase
from scrooge.flows import cascade, perform, recovery, retries
from scrooge.flows.perform import apply
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import hex_of
from scrooge.routing.calendar import DAY, HOUR
from scrooge.storage import retries as queue
from scrooge.storage.retries import Due

MINUTE = HOUR // 60


@pytest.fixture
async def going_back(world: World, s: Scrooge, monkeypatch: Any) -> Payment:
    """Declined, scheduled, and approved at the PSP after all: it is given back, but not yet, for no worker asks."""

    async def tomorrow(*_: object) -> int:
        return now() + DAY

    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    found = await read(s, p["id"])
    with monkeypatch.context() as patch:
        patch.setattr(perform, "time_to_ask", tomorrow)
        found = await apply(s, found, found.attempts[0].id, Approved())
    assert (found.attempts[0].state, found.retry and found.retry.phase) == (State.REVERSING, Phase.SCHEDULED)
    return found


async def test_a_retry_waits_for_what_goes_back_and_is_made_then(world: World, s: Scrooge, sql, going_back: Payment):
    p, first = going_back, going_back.attempts[0].id
    await its_time_comes(sql, p.id)
    [due] = [d for d in await queue.claim(s.db, 100, 1.0) if d.payment == p.id]
    await retries.run(s, due)
    left = "SELECT count(*) FROM retries WHERE payment_id = $1 AND due_at IS NOT NULL"
    assert await sql.fetchval(left, hex_of(p.id)) == 1, "its turn comes again"
    await apply(s, await read(s, p.id), first, Reversed("given back"))
    await retries.run(s, due)
    after = await read(s, p.id)
    assert [a.state for a in after.attempts] == [State.REVERSED, State.DECLINED]
    assert after.retry is not None
    assert (after.retry.phase, after.retry.round) == (Phase.SCHEDULED, 1)


@pytest.mark.parametrize("back", [False, True])
async def test_what_went_back_is_not_tried_again_when_the_caller_cancels(
    world: World, s: Scrooge, going_back: Payment, back: bool
):
    p = going_back
    if back:
        p = await apply(s, p, p.attempts[0].id, Reversed("given back"))
    assert p.retry is not None
    await world.post(f"/v1/payments/{p.id}/retries/cancel", {})
    await retries.run(s, Due(p.id, p.retry.seq, 1, "tests"))
    after = await read(s, p.id)
    assert after.retry is not None
    assert (after.retry.phase, len(after.attempts)) == (Phase.CANCELED, 1)


async def test_a_retry_that_is_canceled_while_it_is_out_asks_no_other_psp(world: World, s: Scrooge, sql, monkeypatch):
    """The decline that comes advises to ask elsewhere, where the card would be approved."""
    instrument = await card(world, stripe=POOR["stripe"], adyen="stored_insufficient_funds")
    p = await renewal(world, instrument)
    await sql.execute(
        "UPDATE credentials SET psp_token = CASE position WHEN 0 THEN 'pm_card_visa_chargeDeclined' ELSE 'stored_visa' END"
        " WHERE instrument_id = $1", hex_of(instrument),
    )  # fmt: skip
    asked = cascade.ask

    async def meanwhile(s: Scrooge, p: Payment, *rest: Any, **more: Any) -> Any:
        outcome = await asked(s, p, *rest, **more)
        status, _ = await world.post(f"/v1/payments/{p.id}/retries/cancel", {})
        assert status in {200, 202}
        return outcome

    monkeypatch.setattr(cascade, "ask", meanwhile)
    await retries.run(s, Due(p["id"], 1, 1, "tests"))
    after = await read(s, p["id"])
    assert after.retry is not None
    assert (after.retry.phase, len(after.attempts), after.attempts[-1].state) == (Phase.CANCELED, 2, State.DECLINED)


async def test_nothing_is_planned_for_a_moment_at_which_it_would_be_over(world: World, s: Scrooge):
    """The hours' full quarters are spread, and turns are minutes apart: a plan leaves room for both."""
    p = await renewal(world, await card(world, stripe=POOR["stripe"]), days=20)
    found = await read(s, p["id"])
    assert found.retry is not None
    assert found.retry.at is not None
    at = found.retry.at - found.retry.at % (HOUR // 4)
    assert retries.LEASE_SECONDS < recovery.LEAST / 1_000_000
    for minutes in (0, 1, 5, 6, 10, 16):
        step = recovery.planned(s, structs.replace(found, retry_until=at + minutes * MINUTE)).retry
        assert step is not None
        assert step.at is None or step.at <= at + (minutes - 5) * MINUTE, minutes


async def test_what_was_declined_under_a_mandate_is_taken_from_no_other_card(world: World, sql):
    """The payer agreed for one; that the other is his, too, is no consent."""
    first = await agreed(world)
    await money_arrives(sql, first["instrument"]["id"], POOR["stripe"])
    _, p = await renew(world, first["mandate"])
    assert p["status"] == "declined"
    path = f"/v1/payments/{p['id']}/authorizations"
    status, refused = await world.post(path, {"instrument": await card(world, stripe="pm_card_mastercard")})
    assert (status, refused["code"], refused["param"]) == (422, "invalid_field", "instrument")
    await money_arrives(sql, first["instrument"]["id"])
    status, p = await world.post(path, {"instrument": first["instrument"]["id"]})
    assert (status, p["status"], p["attempt_count"]) == (201, "captured", 2)
