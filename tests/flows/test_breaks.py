"""What cannot be true together is refused whole, and never passed over in silence."""

import asyncpg
import pytest
from tests.flows.test_races import made, s  # noqa: F401 - a fixture
from tests.world import World

from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined
from scrooge.errors import ContradictoryOutcome
from scrooge.flows import reverse
from scrooge.flows.perform import apply
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.money import Money
from scrooge.storage import payments, work
from scrooge.storage.work import Lease


async def test_a_decline_of_what_was_approved_changes_nothing_and_is_one_break(s: Scrooge, world: World):  # noqa: F811
    p = await made(s, world, "stripe")
    for _ in range(2):
        with pytest.raises(ContradictoryOutcome):
            await apply(s, p, p.attempts[0].id, Declined(Decline.DO_NOT_HONOR, "05", psp_reference="pi_1"))
    assert await payments.read(s.db, p.id) == p
    rows = await s.db.pool.fetch("SELECT kind, attempt_id FROM breaks WHERE payment_id = $1", hex_of(p.id))
    assert [(row["kind"], row["attempt_id"].hex) for row in rows] == [
        ("contradictory_outcome", hex_of(p.attempts[0].id))
    ]


async def test_a_worker_whose_turn_is_another_ones_by_now_gives_nothing_back(s: Scrooge, world: World):  # noqa: F811
    p = await made(s, world, "stripe")
    after = await apply(s, p, p.attempts[0].id, Approved("pi_of_another_charge", Money(1299, "EUR")))
    unwanted = after.attempts[-1]
    stale = await work.claim_attempt(s.db, p.id, unwanted.id, 60)
    assert stale is not None
    await work.end_lease(s.db, p.id, unwanted.id, stale)
    assert await work.claim_attempt(s.db, p.id, unwanted.id, 60) == stale + 1
    lease = Lease(p.id, unwanted.id, unwanted.connector_account, stale)
    assert await reverse.record(s, p.id, unwanted.id, lease) is None
    kept = await payments.read(s.db, p.id)
    assert kept is not None
    assert len(kept.attempts) == 2
    owner = await asyncpg.connect(world.database_url)  # Stripe has no such payment to give back.
    await owner.execute(
        "UPDATE attempts SET state = 'reversed', ask_at = NULL WHERE payment_id = $1 AND state = 'reversing'",
        hex_of(p.id),
    )
    await owner.close()
