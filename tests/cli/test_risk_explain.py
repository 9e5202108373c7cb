"""`scrooge risk explain`: what the rules would say, with what the processes that take payments have counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cli.test_routing_costs import command
from tests.conftest import opened
from tests.world import World

OFTEN = {"name": "often", "type": "velocity", "of": "ip", "counts": "attempts", "most": 1, "minutes": 10,
         "does": "block", "mode": "enforce"}  # fmt: skip
ABOUT = ("--merchant", "tests", "--amount", "5.00", "--currency", "EUR")


@pytest.fixture
async def world(server_url: str, template_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(server_url, template_url, tmp_path) as world:
        yield world


async def test_it_knows_what_other_processes_counted_and_counts_nothing_itself(world: World):
    card = await world.instrument(stripe="pm_card_visa")
    asked = ("risk", "explain", *ABOUT, "--instrument", card, "--ip", "198.18.0.9")
    code, out, err = await command(world, *asked)
    assert (code, out, "nothing is checked" in err) == (0, "", True)
    document = {"name": "p", "mode": "enforce", "rules": [OFTEN]}
    _, made = await world.post("/v1/risk/policies", {"document": document})
    status, _ = await world.post(f"/v1/risk/policies/{made['id']}/activate", {"expect_active": None})
    assert status == 200
    await asyncio.sleep(1.5)  # until every process knows
    status, p = await world.pay(instrument=card, payer={"ip": "198.18.0.9"})
    assert (status, p["status"]) == (201, "captured")
    await asyncio.sleep(2.5)  # until it was told
    for _ in range(2):
        code, out, _ = await command(world, *asked, "--json")
        found = json.loads(out)
        assert (code, found["policy"], found["did"]) == (0, made["id"], "block")
        assert found["counts"]["ip, 10 minutes"][0] == 1
    code, out, _ = await command(world, *asked)
    assert (code, "often blocks: " in out) == (0, True)
    code, _, err = await command(world, "risk", "explain", *ABOUT, "--instrument", "ins_01K9YH4V9GYB7T2D4Z8QW3M5N6")
    assert (code, "no such instrument" in err) == (1, True)
