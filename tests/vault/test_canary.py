"""Card numbers are nowhere but in the vault: canary cards go through everything, and then everything is searched.

A slice of `make canaries`.
"""

from collections.abc import AsyncIterator

import pytest

from tests.canaries.flows import SLICE
from tests.canaries.scan import LEFT, TOLD, blind, control_everywhere, left_behind, told, told_to_anybody
from tests.canaries.stage import Stage, stage

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
async def played() -> AsyncIterator[Stage]:
    async with stage() as s:
        for flow in SLICE.values():
            await flow(s)
        await control_everywhere(s)
        yield s


async def test_no_card_that_was_played_is_in_a_row_a_log_an_answer_or_a_webhook(played: Stage):
    hits = await told_to_anybody(played)
    assert blind(hits, TOLD) == []
    assert told(hits) == []
    late = await played.house.fetch("SELECT 1 FROM security_codes WHERE expires_at < now() - interval '1 minute'")
    assert late == []


async def test_no_card_that_was_played_is_left_on_disk_or_in_the_cores_memory(played: Stage):
    hits = await left_behind(played)
    assert blind(hits, LEFT) == []
    assert told(hits) == []
