"""The card form as a payer meets it: what is wrong is said beside the field, it works without a mouse, it fits a phone."""

import pytest

from .conftest import Checkout
from .test_checkout import AMEX, CHALLENGED, VISA, clean

# What is typed into number, expiry and code, which field has the focus then, and what is said beside it.
WRONG = [
    (("", "1230", "123"), "number", "Card number: enter the number on the card."),
    (("4242424242424241", "1230", "123"), "number", "Card number: this number is not right, please check each digit."),
    (("37828224631000", "1230", "1234"), "number",
     "Card number: American Express numbers have 15 digits, this one has 14."),
    (("9999888877776666", "1230", "123"), "number", "Card number: no card has a number like this."),
    ((VISA, "", "123"), "expiry", "Expiry date: enter month and year, like 03 / 30."),
    ((VISA, "1330", "123"), "expiry", "Expiry date: the month is between 01 and 12."),
    ((VISA, "0120", "123"), "expiry", "Expiry date: this card has expired."),
    ((VISA, "1230", "12"), "code", "Security code: enter the 3 digits on the back of the card."),
    ((AMEX, "1230", "123"), "code", "Security code: enter the 4 digits on the front of the card."),
]  # fmt: skip


async def test_what_is_wrong_is_said_beside_its_field_which_gets_the_focus_and_nothing_is_sent(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url)
        before = len(visit.requests)
        for typed, field, said in WRONG:
            await visit.fill(*typed)
            await visit.send()
            error = visit.form.locator(f"#{field}-error")
            assert await error.inner_text() == said
            focused = visit.form.locator(":focus")
            assert await focused.get_attribute("id") == field
            assert await focused.get_attribute("aria-invalid") == "true"
            assert f"{field}-error" in (await focused.get_attribute("aria-describedby") or "").split()
            assert await error.get_attribute("aria-live") == "polite"
        assert len(visit.requests) == before
        await visit.fill(VISA, name="4")
        await visit.send()
        assert await visit.form.locator("#holder-error").inner_text() == "Name: a name has no digits."
        await visit.form.get_by_label("Name on the card").fill("Ada")
        assert await visit.form.locator(".error:not(:empty)").count() == 0, "what is mended is not complained of"
        clean(visit)


async def test_what_the_vault_refuses_is_said_beside_its_field_too_and_another_card_may_follow(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url)
        await visit.page.frames[1].evaluate("document.body.dataset.today = '2001-01'")  # As if it were open for long.
        await visit.fill(VISA, "0223", typed=True)
        await visit.send()
        error = visit.form.locator("#expiry-error")
        await error.filter(has_text="Expiry date: this card has expired.").wait_for()
        assert await visit.form.locator(":focus").get_attribute("id") == "expiry"
        await visit.fill(VISA)
        await visit.send()
        await visit.heading("Thank you, it is paid")


async def test_what_is_typed_is_grouped_and_the_brand_is_said(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url)
        for number, grouped, brand in (
            (VISA, "4242 4242 4242 4242", "Visa"),
            (AMEX, "3782 822463 10005", "American Express"),
            ("5555-5555-5555-4444", "5555 5555 5555 4444", "Mastercard"),
            ("３０５６９３０９０２５９０４", "3056 930902 5904", "Diners Club"),
        ):
            await visit.fill(number, "130", typed=True)
            assert await visit.form.get_by_label("Card number").input_value() == grouped
            assert await visit.form.locator("#number-brand").inner_text() == brand
            assert await visit.form.get_by_label("Expiry date").input_value() == "13 / 0"
        await visit.fill(VISA[:15])
        await visit.send()
        said = "Card number: Visa numbers have 13, 16, 17, 18 or 19 digits, this one has 15."
        assert await visit.form.locator("#number-error").inner_text() == said
        for typed, shown in (("330", "03 / 30"), ("1/30", "01 / 30"), ("12/2030", "12 / 2030")):
            await visit.fill(VISA, typed, typed=True)
            assert await visit.form.get_by_label("Expiry date").input_value() == shown
        field = visit.form.get_by_label("Card number")
        await field.focus()
        await field.evaluate("input => input.setSelectionRange(7, 7)")
        await visit.page.keyboard.type("9")  # In the middle: the caret stays there.
        assert await field.evaluate("input => [input.value, input.selectionStart]") == ["4242 4294 2424 2424 2", 8]


async def test_the_whole_way_goes_by_keyboard_alone(checkout: Checkout):
    async with checkout.visit() as visit:
        keys = visit.page.keyboard
        await visit.page.goto(checkout.shop_url)
        await keys.press("Tab")  # the goods
        await keys.press("Tab")  # where it goes: wherever it is routed, Stripe, Adyen
        await keys.press("ArrowDown")
        await keys.press("ArrowDown")
        await keys.press("Tab")
        await keys.press("Enter")
        await visit.form.get_by_label("Card number").wait_for()
        await keys.press("Tab")
        for text in (CHALLENGED, "1230", "123", "Ada Lovelace"):
            await keys.type(text)
            await keys.press("Tab")
        await keys.press("Enter")
        await visit.heading("Confirm your payment")
        await keys.press("Tab")
        await keys.press("Enter")
        await visit.heading("Thank you, it is paid")
        assert (await checkout.payment(visit.page))["connector_account"] == "adyen"
        clean(visit)


# Every visible text against what is behind it, WCAG 2.2 criterion 1.4.3; what has no label or hangs in the air.
LOOK = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const rgb = parse(getComputedStyle(node).backgroundColor);
      if (rgb.length === 3 || rgb[3] > 0.99) return rgb;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!node.offsetParent || !(text || node.value || node.placeholder)) continue;
    const back = behind(node);
    const colors = [getComputedStyle(node).color];
    if (node.placeholder) colors.push(getComputedStyle(node, "::placeholder").color);
    for (const color of colors) {
      if (ratio(parse(color), back) < 4.5) found.push(`${node.tagName} ${node.id} ${color} on ${back}`);
    }
    if (node.tagName === "INPUT" && ratio(parse(getComputedStyle(node).borderTopColor), back) < 3) found.push(`border ${node.id}`);
  }
  for (const input of document.querySelectorAll("input")) {
    if (!input.labels.length) found.push(`no label: ${input.id}`);
    for (const id of (input.getAttribute("aria-describedby") || "").split(" ").filter(Boolean)) {
      if (!document.getElementById(id)) found.push(`no ${id}`);
    }
  }
  for (const button of document.querySelectorAll("button, a.button")) {
    if (button.offsetParent && button.getBoundingClientRect().height < 44) found.push(`small: ${button.textContent}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size !== ids.length) found.push("an id twice");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  if (document.documentElement.scrollWidth > innerWidth) found.push(`too wide: ${document.documentElement.scrollWidth}`);
  return found;
}"""


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (375, "dark"), (1280, "light")])
async def test_every_page_fits_and_can_be_read(checkout: Checkout, width: int, scheme: str):
    async with checkout.visit(viewport={"width": width, "height": 800}, color_scheme=scheme) as visit:
        await visit.page.goto(checkout.shop_url)
        assert await visit.page.evaluate(LOOK) == []
        await visit.checkout(checkout.shop_url)
        [frame] = visit.page.frames[1:]
        for direction in ("rtl", "ltr"):
            await frame.evaluate(f"document.documentElement.dir = '{direction}'")
            await visit.fill("378282246310001", "1319", "")
            await visit.send()
            await visit.form.locator("#number-error:not(:empty)").wait_for()
            assert await frame.evaluate(LOOK) == []
        assert await visit.page.evaluate(LOOK) == []
        height = await frame.evaluate("document.documentElement.offsetHeight")
        await visit.page.wait_for_function(
            "wanted => document.querySelector('iframe').offsetHeight === wanted", arg=height
        )
        await visit.fill(CHALLENGED)
        await visit.send()
        await visit.heading("Confirm your payment")
        assert await visit.page.evaluate(LOOK) == []
        await visit.page.get_by_role("button", name="Fail the authentication").click()
        await visit.heading("The card was declined")
        assert await visit.page.evaluate(LOOK) == []
        clean(visit)


async def test_the_bank_needs_no_scripts(checkout: Checkout):
    _, p = await checkout.world.pay("stripe", token="pm_card_authenticationRequired", return_url=checkout.shop_url)
    async with checkout.visit(java_script_enabled=False) as visit:
        await visit.page.goto(p["next_action"]["url"])
        await visit.page.get_by_role("button", name="Confirm the payment").click()
        await visit.page.wait_for_url(f"{checkout.shop_url}/")
    assert (await checkout.world.get(f"/v1/payments/{p['id']}"))[1]["status"] == "captured"
