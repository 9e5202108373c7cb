"""A payer with a browser: the card is typed into the vault's form, paid at both PSPs, with and without a challenge."""

import json
import re

import pytest

from .conftest import Checkout, Visit

VISA, CHALLENGED, AMEX = "4242424242424242", "4000002760003184", "378282246310005"
PSPS = ["stripe", "adyen"]


def clean(visit: Visit) -> None:
    """Nothing was blocked by a policy, and no script failed."""
    assert visit.complaints == []


@pytest.mark.parametrize("psp", PSPS)
async def test_a_card_typed_into_the_form_pays_and_only_the_vault_ever_gets_the_number(checkout: Checkout, psp: str):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url, psp)
        await visit.fill(VISA, name="Ada Lovelace", typed=True)
        await visit.send()
        await visit.heading("Thank you, it is paid")
        payment = await checkout.payment(visit.page)
        assert payment["status"] == "captured"
        assert payment["connector_account"] == psp
        assert visit.told(VISA) == {checkout.vault_url: 1}
        kinds = [json.loads(text.partition(" ")[2])["scrooge"] for text in visit.messages]
        assert {"ready", "change", "height", "done"} == set(kinds)
        assert all(text.startswith(f"{checkout.vault_url} ") for text in visit.messages)
        assert not any(re.search(r"\d{9}|123|Ada", text) for text in visit.messages if '"done"' not in text)
        told = json.loads(next(text for text in visit.messages if '"done"' in text).partition(" ")[2])
        assert told["card"] == {"brand": "visa", "last4": "4242", "exp": "2030-12"}
        assert set(told) == {"scrooge", "instrument", "card"}
        origins = {f.url.split("/")[2] for f in visit.page.context.pages for f in f.frames}
        assert origins == {checkout.shop_url.partition("//")[2]}
        clean(visit)
    sales = [t for t in await checkout.world.truth() if t["reference"] == f"{payment['id']}-1"]
    assert [(t["operation"], t["outcome"], t["minor"]) for t in sales] == [("sale", "approved", 1299)]


async def test_a_shopper_who_names_no_psp_goes_where_the_payment_is_routed(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url, "whichever Scrooge routes it to")
        await visit.fill(VISA)
        await visit.send()
        await visit.heading("Thank you, it is paid")
        payment = await checkout.payment(visit.page)
        assert payment["connector_account"] in PSPS
        assert payment["connector_account"].capitalize() in await visit.page.inner_text("dl")
        clean(visit)


BANK = {
    "success": ("Confirm the payment", "Thank you, it is paid", "captured"),
    "fail": ("Fail the authentication", "The card was declined", "declined"),
    "abandon": ("Leave without answering", "Your bank waits for you", "requires_action"),
    "timeout": ("Let the bank fall silent", "Your bank does not answer", "requires_action"),
}


@pytest.mark.parametrize("psp", PSPS)
@pytest.mark.parametrize("result", BANK)
async def test_a_challenge_ends_as_the_payer_answers_it(checkout: Checkout, psp: str, result: str):
    button, heading, status = BANK[result]
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url, psp)
        order = visit.page.url
        await visit.fill(CHALLENGED)
        await visit.send()
        await visit.page.get_by_role("button", name=button).click()
        await visit.heading(heading)
        if result == "timeout":
            await visit.page.goto(order)  # The payer goes back to the shop.
            await visit.heading("Your bank waits for you")
        payment = await checkout.payment(visit.page)
        assert payment["status"] == status
        if result == "abandon":  # Who left the bank may come again.
            await visit.page.get_by_role("link", name="Go on at your bank").click()
            await visit.page.get_by_role("button", name="Confirm the payment").click()
            await visit.heading("Thank you, it is paid")
        assert visit.told(CHALLENGED) == {checkout.vault_url: 1}
        clean(visit)
