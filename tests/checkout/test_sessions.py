"""Capture sessions at the wire: who gets one, who may send a card to it, how often, and what refusals say and leave."""

import asyncio
from typing import Any

import pytest

from .conftest import Checkout

VISA, MASTERCARD = "4242424242424242", "5555555555554444"
CARD = {"number": VISA, "exp_month": 12, "exp_year": 2030, "cvc": "123"}
ATTEMPT = "0123456789abcdef"


async def ask(stack: Checkout, body: dict[str, Any], key: str | None = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key or stack.vault_key}"}
    url = f"{stack.vault_url}/v1/capture-sessions"
    async with stack.world.http.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def send(stack: Checkout, session: dict[str, Any], card: Any = CARD, **more: Any) -> tuple[int, dict[str, Any]]:
    """As the form does; `headers` in place of a browser's own, None for none."""
    given = {"Origin": stack.vault_url, "Sec-Fetch-Site": "same-origin", **more.pop("headers", {})}
    headers = {name: value for name, value in given.items() if value is not None}
    url = f"{stack.vault_url}/v1/capture-sessions/{session['token']}/card"
    async with stack.world.http.post(url, json={"card": card, **more}, headers=headers) as answer:
        text = await answer.text()
        number = (card.get("number") or "-") if isinstance(card, dict) else "-"
        assert answer.status == 201 or number not in text
        return answer.status, await answer.json()


async def audited(stack: Checkout, session: dict[str, Any]) -> list[tuple[str, str]]:
    """What the audit says that the session did: acts and outcomes."""
    rows = await stack.vault.fetch(
        "SELECT act, outcome FROM audit WHERE who = $1 OR object = $2 ORDER BY at, seq",
        f"session:{session['id']}", session["id"],
    )  # fmt: skip
    return [(row["act"], row["outcome"]) for row in rows]


async def test_a_session_takes_one_card_for_its_customer(stack: Checkout):
    session = await stack.session(customer="payer-7")
    assert session["id"].startswith("cse_")
    assert session["url"] == f"{stack.vault_url}/form/{session['token']}"
    status, made = await send(stack, session)
    assert (status, made["customer"], made["card"]["last4"]) == (201, "payer-7", "4242")
    status, refused = await send(stack, session)
    assert (status, refused["code"]) == (410, "session_used")
    status, refused = await send(stack, session, {**CARD, "number": MASTERCARD})
    assert (status, refused["code"]) == (410, "session_used")
    acts = await audited(stack, session)
    assert acts.count(("tokenize", "done")) == 1
    assert acts[0] == ("session", "done")
    assert [outcome for _, outcome in acts].count("session_used") == 2


async def test_the_same_page_that_sends_the_same_card_again_is_answered_again(stack: Checkout):
    session = await stack.session()
    first = await send(stack, session, attempt=ATTEMPT)
    assert first[0] == 201
    assert await send(stack, session, attempt=ATTEMPT) == first
    status, refused = await send(stack, session, {**CARD, "number": MASTERCARD}, attempt=ATTEMPT)
    assert (status, refused["code"]) == (410, "session_used")


async def test_of_many_cards_at_once_a_session_takes_one(stack: Checkout):
    session = await stack.session()
    numbers = [VISA, MASTERCARD, "4000056655665556", "5105105105105100", "6011111111111117", "3566002020360505"]
    answers = await asyncio.gather(*(send(stack, session, {**CARD, "number": n}) for n in numbers))
    assert sorted(status for status, _ in answers) == [201, 410, 410, 410, 410, 410]


@pytest.mark.parametrize(
    ("changed", "code", "param"),
    [
        ({"number": "4242424242424241"}, "invalid_number", "card.number"),
        ({"number": "42424242424242"}, "brand_length_mismatch", "card.number"),
        ({"exp_year": 2020}, "expired_card", "card.exp_year"),
        ({"exp_month": 13}, "invalid_field", "card.exp_month"),
        ({"cvc": "1234"}, "invalid_security_code", "card.cvc"),
        ({"cvc": None}, "missing_field", "card.cvc"),
        ({"holder": VISA}, "invalid_field", "card.holder"),
        ({"pin": "1"}, "unknown_field", "card.pin"),
    ],
)
async def test_a_bad_card_is_refused_by_field_and_rule_and_a_good_one_may_follow(stack: Checkout, changed, code, param):
    session = await stack.session()
    status, refused = await send(stack, session, {**CARD, **changed})
    assert (status, refused["code"], refused["param"]) == (422, code, param)
    assert (await send(stack, session))[0] == 201
    assert [outcome for act, outcome in await audited(stack, session)] == ["done", code, "done"]


async def test_ten_cards_may_be_tried(stack: Checkout):
    session = await stack.session()
    for _ in range(10):
        status, refused = await send(stack, session, {**CARD, "number": "4242424242424241"})
        assert (status, refused["code"]) == (422, "invalid_number")
    status, refused = await send(stack, session)
    assert (status, refused["code"]) == (410, "session_exhausted")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://shop.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_card_comes_from_the_vaults_own_page_only(stack: Checkout, headers):
    session = await stack.session()
    status, refused = await send(stack, session, headers=headers)
    assert (status, refused["code"]) == (403, "origin_refused")
    assert ("session_card", "origin_refused") in await audited(stack, session)
    assert (await send(stack, session, headers={"Sec-Fetch-Site": None}))[0] == 201, "a browser that does not say it"


async def test_a_session_runs_out(stack: Checkout):
    session = await stack.session(ttl_seconds=60)
    await stack.vault.fetch("UPDATE capture_sessions SET expires_at = now() WHERE customer = 'payer-1'")
    status, refused = await send(stack, session)
    assert (status, refused["code"]) == (410, "session_expired")
    status, refused = await send(stack, {"token": "A" * 43})
    assert (status, refused["code"]) == (410, "session_expired")
    for token in (session["token"], "A" * 43):
        async with stack.world.http.get(f"{stack.vault_url}/form/{token}") as answer:
            assert answer.status == 410
            assert "This form has run out" in await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"


async def test_a_session_ends_with_the_key_it_was_made_with(stack: Checkout):
    key = await stack.vault.new_key()
    _, session = await ask(stack, {"customer": "payer-1", "origin": "https://shop.example"}, key)
    await stack.vault.fetch(
        "UPDATE vault_keys SET revoked_at = now() WHERE digest = sha256(convert_to($1, 'UTF8'))", key
    )
    status, refused = await send(stack, session)
    assert (status, refused["code"]) == (410, "session_expired")


async def test_the_form_is_not_even_sent_to_a_page_that_says_it_is_another(stack: Checkout):
    session = await stack.session(origin="https://shop.example")
    for referer, status in ((None, 200), ("https://shop.example/", 200), ("https://shop.example/cart?x", 200),
                            ("https://shop.example.evil.example/", 403), ("http://shop.example/", 403)):  # fmt: skip
        headers = {"Referer": referer} if referer else {}
        async with stack.world.http.get(session["url"], headers=headers) as answer:
            assert answer.status == status
            assert "frame-ancestors https://shop.example;" in answer.headers["Content-Security-Policy"]
    assert ("form", "origin_refused") in await audited(stack, session)


@pytest.mark.parametrize(
    ("changed", "code", "param"),
    [
        ({"origin": "http://shop.example"}, "invalid_field", "origin"),
        ({"origin": "https://shop.example/pay"}, "invalid_field", "origin"),
        ({"customer": VISA}, "pan_refused", "customer"),
        ({"ttl_seconds": 86_401}, "invalid_field", "ttl_seconds"),
        ({"security": True}, "unknown_field", "security"),
    ],
)
async def test_a_bad_wish_for_a_session_names_its_field(stack: Checkout, changed, code, param):
    status, refused = await ask(stack, {"customer": "payer-1", "origin": "https://shop.example", **changed})
    assert (status, refused["code"], refused["param"]) == (422, code, param)


async def test_a_session_is_for_who_has_a_key_for_sessions(stack: Checkout):
    status, refused = await ask(stack, {"customer": "payer-1", "origin": "https://shop.example"}, "vk_test_nobody")
    assert (status, refused["code"]) == (401, "unauthenticated")


async def test_a_body_of_more_than_four_kilobytes_is_refused(stack: Checkout):
    status, refused = await send(stack, await stack.session(), {**CARD, "holder": "a" * 5000})
    assert (status, refused["code"]) == (413, "body_too_large")


async def test_without_a_security_code_none_is_asked_for(stack: Checkout):
    session = await stack.session(security_code=False)
    async with stack.world.http.get(session["url"]) as answer:
        assert 'id="code"' not in await answer.text()
    assert (await send(stack, session, {k: v for k, v in CARD.items() if k != "cvc"}))[0] == 201


async def test_the_shops_script_may_be_pinned_and_is_asked_for_anew(stack: Checkout):
    url = f"{stack.vault_url}/scrooge.js"
    async with stack.world.http.get(url) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"].startswith("text/javascript")
        tag = answer.headers["ETag"]
    async with stack.world.http.get(url, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
