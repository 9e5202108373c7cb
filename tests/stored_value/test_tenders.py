"""A payment that a balance and a card pay together: both, or neither, and the books of both balance."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from scrooge.storage.audit import audit
from tests.cli.test_books import written
from tests.conftest import opened
from tests.flows.test_crashes import dying
from tests.flows.test_payments import effects, until
from tests.flows.test_splits import body_of, move, settled
from tests.ledger.test_export import bean_check, hledger
from tests.stored_value.conftest import Wallets, amount
from tests.stored_value.test_accounts import expire_now
from tests.world import World

POINTS = ["split.after", *(f"split.step:{n}" for n in range(1, 6)), "split.decided", "split.ordered", "split.settled"]


async def asked(world: World, account: dict[str, Any], token: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
    """30.00: 12.50 of the balance, the rest by a card at Stripe."""
    body = await body_of(world, ("adyen", "stored_visa"), ("stripe", token), **more)
    body["tenders"][0]["instrument"] = account["instrument"]
    return body


async def test_it_is_captured_and_partly_refunded_and_both_sides_balance(
    server_url: str, template_url: str, tmp_path: Path
):
    async with opened(server_url, template_url, tmp_path) as world:
        wallets = Wallets(world)
        account = await wallets.open("20.00")
        status, p = await world.post("/v1/payments", await asked(world, account))
        assert (status, p["status"]) == (201, "captured"), p
        assert [t["amount_captured"]["value"] for t in p["tenders"]] == ["12.50", "17.50"]
        assert await wallets.balance(account) == ("7.50", "0.00")
        card = p["tenders"][1]["payment"]
        taken = [a["sent_at"] for part in p["tenders"] for a in await attempts_of(world, part["payment"], "capture")]
        assert taken[1] < taken[0], "the card is captured first: what is ours cannot fail any more"
        status, refund = await move(world, p, "refunds", amount=amount("20.00"), reference="rma-1")
        assert (status, refund["status"]) == (201, "succeeded"), refund
        p = await settled(world, p, "partially_refunded")
        assert [t["amount_refunded"]["value"] for t in p["tenders"]] == ["2.50", "17.50"]
        assert await wallets.balance(account) == ("10.00", "0.00")
        assert effects(await world.truth(), card) == {
            ("authorize", "approved", 1750): 1, ("capture", "approved", 1750): 1, ("refund", "approved", 1750): 1,
        }  # fmt: skip
        report = await audit(world.database_url, {})
        assert report.ok, report.findings
        text, _ = await written(world.database_url, "hledger")
        assert hledger(tmp_path, text, "check", "--strict") == ""
        bean_check(tmp_path, (await written(world.database_url, "beancount"))[0])
        shown = hledger(tmp_path, text, "balance", "-N", "--flat", "^(liabilities|assets|revenues)", "-O", "csv")
        left = {line.split(",")[0].strip('"'): line.split(",")[1].strip('"') for line in shown.splitlines()[1:]}
        owed = {name.split(":")[1]: value for name, value in left.items()}
        assert owed == {"stored_value": "-10.00 EUR", "order_clearing": "10.00 EUR"}, shown


async def attempts_of(world: World, payment: str, operation: str) -> list[dict[str, Any]]:
    _, p = await world.get(f"/v1/payments/{payment}?expand=attempts")
    return [a for a in p["attempts"] if a["operation"] == operation]


async def test_a_card_that_is_declined_releases_the_balance(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    _, p = await world.post("/v1/payments", await asked(world, account, "pm_card_chargeDeclined"))
    assert p["status"] == "declined", p
    await until(world, p["id"], lambda p: [t["status"] for t in p["tenders"]] == ["voided", "declined"])
    assert await wallets.balance(account) == ("20.00", "0.00")
    assert [m["kind"] for m in await wallets.statement(account)] == ["release", "hold", "load"]


async def test_a_balance_that_is_too_small_ends_it_before_the_card_is_asked(world: World, wallets: Wallets):
    account = await wallets.open("12.49")
    _, p = await world.post("/v1/payments", await asked(world, account))
    assert (p["status"], p["decline"]["category"]) == ("declined", "insufficient_funds"), p
    assert p["tenders"][1]["payment"] is None


async def test_a_balance_that_can_pay_nothing_is_refused_before_the_card_is_asked(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    dollars, over, closed = (
        await wallets.open("20.00", currency="USD"),
        await wallets.open("20.00"),
        await wallets.open(),
    )
    await expire_now(sql, over)
    assert (await world.post(f"/v1/stored-value-accounts/{closed['id']}/close", {}))[0] == 200
    for account, problem in (
        (dollars, (422, "currency_mismatch")),
        (over, (409, "stored_value_expired")),
        (closed, (409, "stored_value_closed")),
    ):
        body = await asked(world, account)
        card, balance = body["tenders"][1], body["tenders"][0]["instrument"]
        body["tenders"] = [{**card, "amount": "17.50"}, {"instrument": balance}]
        status, told = await world.post("/v1/payments", body)
        assert (status, told.get("code")) == problem, told
        assert told["param"] == "tenders.1.instrument"


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_card_chargeDeclined"])
async def test_a_crash_at_any_step_leaves_both_or_neither(world: World, wallets: Wallets, token: str):
    paid = token == "pm_card_visa"

    async def crashed(point: str) -> None:
        account = await wallets.open("20.00")
        answer = await dying(world, point, await asked(world, account, token))
        p = await settled(world, answer, "captured" if paid else "declined")
        if not paid:
            await until(world, p["id"], lambda p: p["tenders"][0]["status"] == "voided")
        assert await wallets.balance(account) == (("7.50" if paid else "20.00"), "0.00"), point

    await world.instrument(stripe=token)
    await world.instrument(adyen="stored_visa")
    points = POINTS if paid else [p for p in POINTS if p not in {"split.step:5", "split.ordered"}]
    await asyncio.gather(*(crashed(point) for point in points))
