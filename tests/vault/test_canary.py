"""Card numbers are nowhere but in the vault: canary cards go through everything, and then everything is searched."""

import pytest

from tests.canaries.flows import SLICE
from tests.canaries.scan import blind, control_everywhere, swept, told
from tests.canaries.stage import stage


@pytest.mark.timeout(900)
async def test_no_card_that_was_played_is_found_anywhere_outside_the_vault():
    """A slice of `make canaries`."""
    async with stage() as s:
        for flow in SLICE.values():
            await flow(s)
        await control_everywhere(s)
        hits = await swept(s)
        late = await s.house.fetch("SELECT card_id FROM security_codes WHERE expires_at < now() - interval '1 minute'")
    assert blind(hits) == []
    assert told(hits) == []
    assert late == []
