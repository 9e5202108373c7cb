"""Payments by cards in the vault, end to end: core, worker, vault and PSPs as processes, each able to die."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from scrooge.cli.database import audited
from scrooge.ids import hex_of
from scrooge.postgres.rows import public
from scrooge.storage.findings import FAULTS
from tests.conftest import drop_database, make_database, sandbox
from tests.vault.house import House, house
from tests.world import World

PSPS = ["stripe", "adyen"]
DEATHS = {
    "vault.grant.before": ["stripe"], "vault.grant.after": ["adyen"], "vault.send.written": PSPS, "vault.send.after": PSPS,
}  # fmt: skip
VISA, POOR, CHALLENGED, ISSUER_AWAY = "4242424242424242", "4000000000009995", "4000002760003184", "4000009900000012"


class Shop:
    """A caller who keeps cards in the vault and pays with them at the core."""

    def __init__(self, world: World, vault: House) -> None:
        self.world, self.vault = world, vault

    async def pay(
        self, number: str = VISA, *, instrument: str | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        card = instrument or (await self.vault.tokenize(number=number))["id"]
        body = {
            "reference": f"order-{uuid.uuid4().hex}", "amount": {"value": "12.99", "currency": "EUR"},
            "instrument": card, "customer": "user-1", **more,
        }  # fmt: skip
        return await self.world.post("/v1/payments", body)

    async def payment(self, p: dict[str, Any], status: str) -> dict[str, Any]:
        """Once it has this status: the resolver and notifications take their time."""
        for _ in range(900):
            _, now = await self.world.get(f"/v1/payments/{p['id']}?expand=attempts")
            if now["status"] == status:
                return now
            await asyncio.sleep(0.1)
        raise AssertionError(now)

    async def ended(self, p: dict[str, Any]) -> dict[str, Any]:
        """Once nothing about it is in doubt."""
        for _ in range(900):
            _, now = await self.world.get(f"/v1/payments/{p['id']}?expand=attempts")
            if now["outcome_certainty"] == "certain":
                return now
            await asyncio.sleep(0.1)
        raise AssertionError(now)

    async def truth(self, p: dict[str, Any]) -> Counter[tuple[str, str, str]]:
        lines = await self.world.truth()
        return Counter(
            (t["connector"], t["operation"], t["outcome"]) for t in lines if t["reference"].startswith(p["id"])
        )

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        connection = await asyncpg.connect(self.world.database_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    def restart(self, point: str = "") -> None:
        self.vault.stop(kill=True)
        self.vault.start(SCROOGE_CRASH_POINT=point)


@pytest.fixture(scope="module")
async def shop(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    with sandbox(latency_ms=25.0) as psps:  # Longer than a filled request is on its way.
        async with house(server_url, tmp_path_factory.mktemp("vault"), psps) as vault:
            world = World(url, psps, str(tmp_path_factory.mktemp("world")))
            world.env |= vault.core_env
            try:
                await world.open()
                shop = Shop(world, vault)
                [row] = await shop.fetch("SELECT id FROM merchants WHERE name = 'tests'")
                vault.merchant = public("mer", row["id"]) or ""
                vault.vault_key = await vault.new_key()
                yield shop
            finally:
                await world.close()
    await drop_database(server_url, url)


@pytest.fixture(autouse=True)
async def calm(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.world.no_faults()
    if shop.vault.process is None or shop.vault.process.poll() is not None:
        shop.restart()


@pytest.mark.parametrize("psp", PSPS)
async def test_a_sale_by_a_card_is_taken_once_and_the_core_keeps_no_number(shop: Shop, psp: str):
    status, p = await shop.pay(connector_account=psp)
    assert (status, p["status"], p["outcome_certainty"]) == (201, "captured", "certain")
    assert await shop.truth(p) == {(psp, "sale", "approved"): 1}
    [attempt] = (await shop.payment(p, "captured"))["attempts"]
    assert attempt["network_transaction_id"]
    [row] = await shop.fetch("SELECT request::text AS sent FROM attempts WHERE payment_id = $1::uuid", hex_of(p["id"]))
    assert p["instrument"]["id"] in row["sent"], "what a replay needs"
    assert VISA not in row["sent"]
    assert ("fill", "done") in await shop.vault.acts(p["instrument"]["id"])


@pytest.mark.parametrize("psp", PSPS)
async def test_a_decline_behind_the_vault_is_a_decline(shop: Shop, psp: str):
    status, p = await shop.pay(POOR, connector_account=psp)
    assert (status, p["status"]) == (201, "declined")
    assert p["decline"]["category"] == "insufficient_funds"


@pytest.mark.parametrize("psp", PSPS)
@pytest.mark.parametrize(("result", "status"), [("success", "captured"), ("fail", "declined")])
async def test_a_challenge_is_followed_and_concluded_without_the_vault(shop: Shop, psp: str, result: str, status: str):
    code, p = await shop.pay(CHALLENGED, connector_account=psp, return_url="https://shop.example/return")
    assert (code, p["status"]) == (201, "requires_action")
    async with shop.world.http.get(p["next_action"]["url"]) as page:
        action = re.search(r'<form[^>]*action="([^"]+)"', await page.text())
    target = str(page.url.join(type(page.url)(action[1]))) if action else str(page.url)
    async with shop.world.http.post(target, data={"result": result}, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    async with shop.world.http.get(back, allow_redirects=False) as answer:
        assert answer.status == 303
    await shop.payment(p, status)
    assert sum((await shop.truth(p)).values()) == 1
    assert (await shop.vault.acts(p["instrument"]["id"])).count(("fill", "done")) == 1


async def test_a_card_that_one_psp_may_not_take_goes_to_the_next_by_age(shop: Shop):
    _, p = await shop.pay(ISSUER_AWAY)
    p = await shop.payment(p, "declined")
    assert [a["connector_account"] for a in p["attempts"]] == PSPS


async def test_a_psps_own_token_is_used_first_and_the_vault_not_asked(shop: Shop):
    card = await shop.vault.tokenize()
    _, first = await shop.pay(instrument=card["id"], connector_account="stripe")
    await shop.fetch(
        "INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token) "
        "SELECT bucket, id, $2::uuid, 0, 'stored_visa' FROM instruments WHERE id = $1::uuid",
        hex_of(card["id"]), hex_of(shop.world.accounts["adyen"]["id"]),
    )  # fmt: skip
    _, second = await shop.pay(instrument=card["id"])
    assert await shop.truth(first) == {("stripe", "sale", "approved"): 1}
    assert await shop.truth(second) == {("adyen", "sale", "approved"): 1}
    assert (await shop.vault.acts(card["id"])).count(("fill", "done")) == 1


async def test_answers_lost_behind_the_vault_are_found_out_even_of_a_card_that_is_gone(shop: Shop):
    """The same request, one security code less, teaches nothing at either PSP: Stripe is asked, Adyen tells."""
    waiting = []
    await shop.world.fault("lost_notification", connector="stripe")  # Adyen has nothing else that could tell.
    for psp in (*PSPS, "stripe"):
        await shop.world.fault("charge_then_drop", connector=psp)
        card = await shop.vault.tokenize()
        status, p = await shop.pay(instrument=card["id"], connector_account=psp)
        assert (status, p["outcome_certainty"]) == (202, "unknown")
        waiting.append((psp, p, card["id"]))
    assert (await shop.vault.core_asks("DELETE", f"/v1/cards/{card['id']}"))[0] < 300
    await asyncio.sleep(0.5)  # until Stripe's would have come
    await shop.world.no_faults()
    for psp, p, _ in waiting:
        await shop.payment(p, "captured")
        assert await shop.truth(p) == {(psp, "sale", "approved"): 1}
    assert (await shop.vault.acts(waiting[0][2])).count(("fill", "done")) == 2, "one replay, then Stripe was asked"
    acts = await shop.vault.acts(card["id"])
    assert acts.count(("fill", "done")) == 1
    assert ("fill", "card_gone") in acts
    _, refused = await shop.pay(instrument=card["id"])
    assert refused["status"] in {404, 422, "failed"}, refused


async def test_whenever_the_vault_dies_the_card_is_charged_once(shop: Shop):
    for point, psp, p in await deaths(shop, cvc=None):
        await shop.payment(p, "captured")
        assert await shop.truth(p) == {(psp, "sale", "approved"): 1}, point


async def test_whenever_the_vault_dies_with_a_security_code_the_payment_ends_and_tells_the_truth(shop: Shop):
    """What had left is found or taken back; what had not can never leave, for the code died with the vault."""
    for point, psp, p in await deaths(shop):
        status = (await shop.ended(p))["status"]
        sale = (psp, "sale", "approved")
        assert status in {"captured", "failed"}, point
        assert (await shop.truth(p))[sale] == (status == "captured"), point
        if point != "vault.send.written":  # Then it was on its way, and may have arrived or not.
            assert status == ("failed" if point.startswith("vault.grant") else "captured"), point


async def deaths(shop: Shop, **card: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """A payment for each place where the vault can die, each unknown to the core as yet."""
    waiting = []
    for point, psps in DEATHS.items():
        for psp in psps:
            made = await shop.vault.tokenize(**card)
            shop.restart(point)
            status, p = await shop.pay(instrument=made["id"], connector_account=psp)
            assert (status, p["outcome_certainty"]) == (202, "unknown"), point
            shop.restart()
            waiting.append((point, psp, p))
    return waiting


async def test_without_the_vault_nothing_was_sent_and_tokens_are_paid_with(shop: Shop):
    card = await shop.vault.tokenize()
    await shop.pay(instrument=card["id"])
    shop.vault.stop(kill=True)
    status, p = await shop.pay(instrument=card["id"])
    assert (status, p["status"], p["outcome_certainty"]) == (201, "failed", "certain")
    assert not await shop.truth(p)
    assert (await shop.world.pay("stripe"))[1]["status"] == "captured"


async def test_the_books_agree_with_what_the_psps_did(shop: Shop):
    """Of everything above, and last."""
    report = await audited(shop.world.database_url, shop.world.sandbox_url)
    assert {name: getattr(report, name) for name in (*FAULTS, "unresolved") if getattr(report, name)} == {}
