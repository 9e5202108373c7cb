"""`scrooge routing costs`: what it says is what stands in the books, by what a person wants to know it by."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import opened
from tests.world import World

FEES = [
    {"component": "interchange", "name": "all", "rate": "1.5", "refunded": True},
    {"component": "markup", "name": "acquirer", "rate": "0.25", "fixed": {"EUR": "0.05"}},
    {"component": "scheme", "name": "tried", "fixed": {"EUR": "0.02"}, "on": "attempt"},
]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
async def world(server_url: str, template_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(server_url, template_url, tmp_path) as world:
        yield world


async def command(world: World, *words: str) -> tuple[int, str, str]:
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scrooge", *words, env=world.env, stdout=PIPE, stderr=PIPE
    )
    out, err = await done.communicate()
    assert done.returncode is not None
    return done.returncode, out.decode(), err.decode()


async def told(world: World, *more: str) -> tuple[int, str, str]:
    return await command(world, "routing", "costs", "--merchant", "tests", *more)


async def paid(world: World, connector: str, **more: Any) -> dict[str, Any]:
    status, p = await world.pay(connector, value="100.00", **more)
    assert status == 201, p
    return p


async def test_what_was_captured_and_what_it_is_expected_to_cost_are_in_one_line(world: World):
    code, out, err = await told(world)
    assert (code, out) == (0, "")
    assert "scrooge routing tariffs FILE" in err, "an empty report says why"
    await paid(world, "stripe")  # before anything had a price
    tariffs = [{"account": a, "valid_from": "2026-01-01", "fees": FEES} for a in ("stripe", "adyen")]
    assert (await world.post("/v1/routing/tariffs", {"document": {"tariffs": tariffs}}))[0] == 201
    await asyncio.sleep(1.5)  # until every process knows
    sold = await paid(world, "stripe")
    await paid(world, "stripe", token="pm_card_visa_chargeDeclined")
    held = await paid(world, "stripe", capture="manual")
    body = {"amount": {"value": "40.00", "currency": "EUR"}, "reference": "part", "final": True}
    assert (await world.post(f"/v1/payments/{held['id']}/captures", body))[0] in (200, 201)
    back = {"amount": {"value": "100.00", "currency": "EUR"}, "reference": "back"}
    assert (await world.post(f"/v1/payments/{sold['id']}/refunds", back))[0] in (200, 201)
    month = f"{datetime.now(UTC):%Y-%m}"
    code, out, _ = await told(world, "--json")
    found = json.loads(out)
    assert (code, found["since"], found["until"], found["basis"]) == (0, month, month, "expected")
    [line] = found["costs"]
    assert {name: line[name] for name in ("month", "account", "region", "currency")} == {
        "month": month, "account": "stripe", "region": "unknown", "currency": "EUR",
    }  # fmt: skip
    assert (line["captures"], line["captured"]) == (2, "140.00"), "what had no price is not beside what has one"
    # Interchange of the sale came back with its refund; 1.5 % of 40.00 is left. Three attempts at 0.02.
    assert line["components"]["interchange"] == "0.60"
    assert line["components"]["scheme"] == "0.06"
    _, balances, _ = await command(world, "ledger", "balances", "--json")
    books = {b["account"]: b["balance"] for b in json.loads(balances)["balances"]}
    expenses = {account.split(".")[2]: sum_ for account, sum_ in books.items() if ".psp_fees." in account}
    assert line["components"] == expenses
    assert Decimal(line["fees"]) == sum(map(Decimal, expenses.values()))
    assert line["bps"] == round(float(Decimal(line["fees"]) / Decimal("140.00") * 10_000), 1)
    code, out, err = await told(world)
    assert (code, "stripe" in out, line["captured"] in out, "Expected" in err) == (0, True, True, True)
    code, out, _ = await told(world, "--since", "2020-01", "--until", "2020-12", "--json")
    assert json.loads(out)["costs"] == []


@pytest.mark.parametrize(
    "more", [("--since", "2026-13"), ("--until", "last"), ("--since", "2026-02", "--until", "2026-01")]
)
def test_what_is_no_month_is_wrong_usage(scrooge: Run, more: tuple[str, ...]):
    assert scrooge("routing", "costs", *more)[0] == 2
