"""A payer leaves another card for their mandate, in a real browser, by a link that the merchant sent them."""

import asyncio
import uuid
from typing import Any

import pytest

from tests.checkout.conftest import Checkout, Visit
from tests.vault.house import CARD

FIRST, GOOD, CHALLENGED, POOR = "4242424242424242", "5555555555554444", "4000002760003184", "4000000000009995"


async def vaulted(c: Checkout, number: str, customer: str) -> str:
    body = {"type": "card", "customer": customer, "card": {**CARD, "number": number}}
    headers = {"Authorization": f"Bearer {c.vault_key}", "Idempotency-Key": uuid.uuid4().hex}
    async with c.world.http.post(f"{c.vault_url}/v1/instruments", json=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        return (await answer.json())["id"]


async def agreed(c: Checkout) -> dict[str, Any]:
    """A mandate of a payer of its own, paid with a card of the vault."""
    customer = f"payer-{uuid.uuid4().hex[:8]}"
    instrument = await vaulted(c, FIRST, customer)
    most = {"value": "20.00", "currency": "EUR"}
    status, p = await c.world.post("/v1/payments", {
        "reference": uuid.uuid4().hex, "amount": {"value": "12.99", "currency": "EUR"}, "instrument": instrument,
        "save_for": {"use": "recurring", "max": most, "description": "Premium"},
    })  # fmt: skip
    assert (status, p["status"]) == (201, "captured"), p
    return await mandate_of(c, p["mandate"], "active")


async def mandate_of(c: Checkout, mandate: str, status: str = "active", version: int = 1) -> dict[str, Any]:
    for _ in range(300):
        code, m = await c.world.get(f"/v1/mandates/{mandate}")
        assert code == 200, m
        if m["status"] == status and m["version"] >= version:
            return m
        await asyncio.sleep(0.1)
    raise AssertionError(m)


async def link_for(c: Checkout, m: dict[str, Any], **more: Any) -> dict[str, Any]:
    status, link = await c.world.post(f"/v1/mandates/{m['id']}/update-links", more)
    assert (status, link["status"]) == (201, "open"), link
    return link


async def leave(visit: Visit, number: str) -> None:
    await visit.fill(number, name="Joan Doe")
    await visit.send()


async def test_a_card_that_is_left_is_the_mandates_and_is_paid_with(checkout: Checkout):
    m = await agreed(checkout)
    link = await link_for(checkout, m)
    async with checkout.visit() as visit:
        await visit.page.goto(link["url"])
        await visit.heading("Update your card")
        assert "Premium" in await visit.page.inner_text("dl")
        assert "Visa ending in 4242" in await visit.page.inner_text("dl")
        await visit.form.get_by_label("Card number").wait_for()
        await leave(visit, GOOD)
        await visit.heading("Your card was updated")
        assert visit.complaints == []
        assert set(visit.told(GOOD)) == {checkout.vault_url}, "only the vault hears of the card"
    now = await mandate_of(checkout, m["id"], version=2)
    assert now["instrument"] != m["instrument"]
    [before] = now["earlier"]
    assert before["instrument"] == m["instrument"]
    assert before["verification"].startswith("ver_")
    events = await checkout.world.events(m["consent"]["payment"], "mandate_updated")
    [told] = [e for e in events if e["type"] == "mandate_updated"]
    assert told["data"]["mandate"]["instrument"] == now["instrument"]
    _, read = await checkout.world.get(f"/v1/update-links/{link['id']}")
    assert (read["status"], "url" in read) == ("used", False)
    status, paid = await checkout.world.post("/v1/payments", {
        "reference": uuid.uuid4().hex, "amount": {"value": "12.99", "currency": "EUR"}, "mandate": m["id"],
    })  # fmt: skip
    assert (status, paid["status"], paid["instrument"]["id"]) == (201, "captured", now["instrument"])


async def test_a_card_that_its_bank_declines_is_told_and_another_may_be_left(checkout: Checkout):
    m = await agreed(checkout)
    link = await link_for(checkout, m)
    async with checkout.visit() as visit:
        await visit.page.goto(link["url"])
        await visit.form.get_by_label("Card number").wait_for()
        await leave(visit, POOR)
        await visit.page.get_by_text("The bank declined this card").wait_for()
        assert (await mandate_of(checkout, m["id"]))["instrument"] == m["instrument"]
        await visit.form.get_by_label("Card number").wait_for()
        assert "declined" in await visit.page.inner_text("#problem"), "it is there still when the form is"
        await leave(visit, GOOD)
        await visit.heading("Your card was updated")
    assert (await mandate_of(checkout, m["id"], version=2))["instrument"] != m["instrument"]


@pytest.mark.parametrize(("button", "heading"), [
    ("Confirm the payment", "Your card was updated"), ("Fail the authentication", "The card was not accepted"),
])  # fmt: skip
async def test_the_payers_bank_asks_them_and_they_come_back(checkout: Checkout, button: str, heading: str):
    m = await agreed(checkout)
    link = await link_for(checkout, m, return_url="https://shop.example/account")
    async with checkout.visit() as visit:
        await visit.page.goto(link["url"])
        await visit.form.get_by_label("Card number").wait_for()
        await leave(visit, CHALLENGED)
        await visit.page.get_by_role("button", name=button).click()
        await visit.heading(heading)
        back = visit.page.get_by_role("link", name="Go back to the shop")
        assert await back.get_attribute("href") == "https://shop.example/account"
    now = await mandate_of(checkout, m["id"], version=2 if button.startswith("Confirm") else 1)
    assert (now["instrument"] != m["instrument"]) == button.startswith("Confirm")
