"""What cannot be true together is refused whole, and never passed over in silence."""

import pytest
from tests.flows.test_races import made, s  # noqa: F401 - a fixture
from tests.world import World

from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Declined
from scrooge.errors import ContradictoryOutcome
from scrooge.flows.perform import apply
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage import payments


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
