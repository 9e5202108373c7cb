"""Expected fees are in the books with the capture that they are for, once, and the audit tells them again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.conftest import drop_database, make_database, sandbox
from tests.flows.test_late_success import lines
from tests.flows.test_payments import until
from tests.world import TOKENS, World

from scrooge.app import open_scrooge
from scrooge.domain.outcome import Approved
from scrooge.flows.perform import apply
from scrooge.ids import hex_of
from scrooge.ledger.export import FORMATS
from scrooge.settings import Settings
from scrooge.storage import payments
from scrooge.storage.audit import audit
from scrooge.storage.export import export

KNOWN_SECONDS = 1.5  # until every process knows new prices
MARKUP = {"component": "markup", "name": "acquirer", "rate": "0.25", "fixed": {"EUR": "0.05"}}
INTERCHANGE = {"component": "interchange", "name": "all", "rate": "1.5", "refunded": True}
TRIED = {"component": "scheme", "name": "tried", "fixed": {"EUR": "0.02"}, "on": "attempt"}
FEES = [INTERCHANGE, MARKUP, TRIED]
OF_A_SALE = {  # of 100.00
    "expenses.psp_fees.interchange.stripe": "1.50",
    "expenses.psp_fees.markup.stripe": "0.25",
    "expenses.psp_fees.fixed.stripe": "0.05",
    "expenses.psp_fees.scheme.stripe": "0.02",
    "liabilities.fee_accrual.stripe": "-1.82",
}


@pytest.fixture(scope="module")
async def alone(server_url: str, template_url: str, tmp_path_factory: Any) -> AsyncIterator[World]:
    """A world of its own: its whole database is audited at the end."""
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    with sandbox() as psps:
        world = World(url, psps, str(tmp_path_factory.mktemp("fees")))
        try:
            await world.open()
            yield world
        finally:
            await world.close()
    await drop_database(server_url, url)


async def priced(world: World, *fees: dict[str, Any]) -> str:
    """The version of the prices from now on, known to every process."""
    tariffs = [{"account": a, "valid_from": "2026-01-01", "fees": list(fees)} for a in ("stripe", "adyen")]
    status, made = await world.post("/v1/routing/tariffs", {"document": {"tariffs": tariffs}})
    assert status in (200, 201), made
    await asyncio.sleep(KNOWN_SECONDS)
    return str(made["id"])


async def books(world: World, p: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """The journals of a payment's fees, in order."""
    _, found = await world.get(f"/v1/payments/{p['id']}?expand=journals")
    return [
        (j["effect"], {x["account"]: x["amount"]["value"] for x in j["postings"]})
        for j in found["journals"]
        if j["effect"].startswith("fees_")
    ]


def settings(world: World) -> Settings:
    return Settings(database_url=world.database_url, data_dir=Path(world.env["SCROOGE_DATA_DIR"]), port=world.port)


async def audited(world: World, **wrong: int) -> None:
    report = await audit(world.database_url, {}, lines(await world.truth()))
    assert {name: getattr(report, name) for name in wrong} == wrong, report.findings
    assert report.ok is not bool(wrong), report.findings


async def test_the_life_of_fees(alone: World):
    """Nobody priced anything: books as ever. Then every end of an attempt accrues what it costs, once."""
    _, free = await alone.pay(value="100.00")
    assert await books(alone, free) == []
    version = await priced(alone, *FEES)

    _, sale = await alone.pay(value="100.00")
    assert await books(alone, sale) == [("fees_accrued", OF_A_SALE)]
    _, shown = await alone.get(f"/v1/payments/{sale['id']}?expand=routing")
    [account] = shown["routing"][0]["decision"]["accounts"]
    assert account["cost_nano"] == 182 * 10**9  # what was expected when it was routed, without any policy
    owner = await asyncpg.connect(alone.database_url)
    rows = await owner.fetch(
        "SELECT effect, tariffs_id FROM journals WHERE payment_id = $1 ORDER BY effect", hex_of(sale["id"])
    )
    assert [(r["effect"], r["tariffs_id"] and r["tariffs_id"].hex) for r in rows] == [
        ("fees_accrued", hex_of(version)), ("sale_approved", None),
    ]  # fmt: skip

    _, declined = await alone.pay(value="100.00", token="pm_card_chargeDeclined")
    assert declined["status"] == "declined"
    assert await books(alone, declined) == [
        ("fees_accrued", {"expenses.psp_fees.scheme.stripe": "0.02", "liabilities.fee_accrual.stripe": "-0.02"})
    ]

    for part in ("40.00", "60.00"):
        body = {"amount": {"value": part, "currency": "EUR"}, "reference": f"back-{part}"}
        status, made = await alone.post(f"/v1/payments/{sale['id']}/refunds", body)
        assert status == 201, made
    assert [b["expenses.psp_fees.interchange.stripe"] for _, b in (await books(alone, sale))[1:]] == ["-0.60", "-0.90"]

    # Two captures at the PSP that takes several, told by notifications; the prices change between them.
    _, held = await alone.pay("adyen", value="100.00", capture="manual")
    for n, part in enumerate(("40.00", "60.00"), start=2):
        body = {"amount": {"value": part, "currency": "EUR"}, "reference": f"part-{n}"}
        status, made = await alone.post(f"/v1/payments/{held['id']}/captures", body)
        assert status in (201, 202), made
        await until(alone, held["id"], lambda p, n=n: [a["status"] for a in p["attempts"]] == ["approved"] * n)
        if n == 2:
            await priced(alone, {"component": "blended", "name": "all in", "rate": "1"})
    assert [b for _, b in await books(alone, held)] == [
        {"expenses.psp_fees.scheme.adyen": "0.02", "liabilities.fee_accrual.adyen": "-0.02"},
        {"expenses.psp_fees.fixed.adyen": "0.05", "expenses.psp_fees.interchange.adyen": "0.60",
         "expenses.psp_fees.markup.adyen": "0.10", "liabilities.fee_accrual.adyen": "-0.75"},
        {"expenses.psp_fees.blended.adyen": "0.60", "liabilities.fee_accrual.adyen": "-0.60"},
    ]  # fmt: skip

    await audited(alone)
    written: list[str] = []
    await export(alone.database_url, FORMATS["hledger"], written.append)
    assert "account expenses:psp_fees:interchange:stripe:tests  ; type:X" in "".join(written)
    await owner.close()


async def test_an_answer_that_was_lost_accrues_when_it_is_found_and_news_told_twice_accrues_once(alone: World):
    await priced(alone, *FEES)
    await alone.fault("charge_then_drop")
    status, lost = await alone.pay(value="100.00")
    assert (status, lost["outcome_certainty"]) == (202, "unknown")
    await alone.no_faults()
    p = await until(alone, lost["id"], lambda p: p["status"] == "captured")
    assert await books(alone, p) == [("fees_accrued", OF_A_SALE)]
    async with open_scrooge(settings(alone)) as s:
        found = await payments.read(s.db, p["id"])
        assert found is not None
        a = found.attempts[0]
        await apply(s, found, a.id, Approved(a.psp_reference))
    assert await books(alone, p) == [("fees_accrued", OF_A_SALE)]
    await audited(alone)


async def test_the_audit_finds_fees_that_are_not_in_the_books_or_not_what_their_version_says(alone: World):
    await priced(alone, *FEES)
    _, sale = await alone.pay(value="100.00", token=TOKENS["stripe"])
    await audited(alone)
    owner = await asyncpg.connect(alone.database_url)
    await owner.execute("SET session_replication_role = replica")
    change = "UPDATE attempts SET fees = jsonb_set(fees, '{minor,markup}', $2::jsonb) WHERE payment_id = $1"
    await owner.execute(change, hex_of(sale["id"]), "26")
    await audited(alone, ledger_differs=2, fees_differ=1)
    await owner.execute(change, hex_of(sale["id"]), "25")
    await owner.execute("UPDATE attempts SET fees = fees - 'minor' WHERE payment_id = $1", hex_of(sale["id"]))
    await audited(alone, ledger_differs=5, fees_differ=1)
    await owner.close()
