"""What lines are paid with is read for many at once, and believed for a moment only."""

import uuid

from scrooge.flows.batches import ahead
from scrooge.flows.batches.ahead import Ahead
from scrooge.ids import new_id
from scrooge.storage import instruments
from scrooge.storage.instruments import Instrument
from tests.batches.conftest import Desk


async def test_what_was_read_ahead_is_used_for_a_moment_and_then_read_again(desk: Desk, monkeypatch):
    s = desk.api.s
    [mandate, other] = await desk.mandates(2)
    known = Ahead(s.reader)
    await known.read(s.db, [mandate, mandate])
    await desk.revoke(mandate)
    await desk.revoke(other)
    before, unread = await known.mandate(mandate), await known.mandate(other)
    assert (before and before.revoked, unread and unread.revoked is not None) == (None, True)
    monkeypatch.setattr(ahead, "FRESH_SECONDS", 0.0)
    now = await known.mandate(mandate)
    assert now is not None
    assert now.revoked is not None


async def test_nothing_is_kept_that_is_not_fresh_any_more(desk: Desk, monkeypatch):
    s = desk.api.s
    known = Ahead(s.reader)
    for mandate in await desk.mandates(20):
        await known.read(s.db, [mandate])
    assert len(known.agreed) == 20
    monkeypatch.setattr(ahead, "FRESH_SECONDS", 0.0)
    await known.read(s.db, await desk.mandates(1))
    assert (known.agreed, known.cards) == ({}, {})


async def test_an_instrument_read_ahead_is_its_merchants_alone(desk: Desk):
    s = desk.api.s
    card = Instrument(
        id=new_id("ins", 7), merchant=desk.whose.merchant, livemode=False, customer=f"payer-{uuid.uuid4().hex[:8]}"
    )
    await instruments.add(s.db, card)
    known = Ahead(s.reader)
    ahead.remember(known.cards, await instruments.read(s.db, [card.id]), ahead.time.monotonic())
    mine = await known.instrument(desk.whose.merchant, card.id)
    assert mine is not None
    assert mine.customer == card.customer
    assert await known.instrument(new_id("mer", 0), card.id) is None
