"""While nobody knows what became of an authorization, its request can be repeated as it was; afterwards the code is gone."""

import asyncio
import json
from urllib.parse import parse_qs

import msgspec
import pytest

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.stripe import STRIPE
from scrooge.ids import hex_of
from scrooge.vault.egress import Sent
from scrooge.vault.ending import ends

CVC, CODE = "payment_method_data[card][cvc]", "737"
ROW = "SELECT sealed, answer, expires_at FROM security_codes WHERE card_id = $1::uuid"
WENT = """SELECT outcome, (detail::jsonb ->> 'security_code')::bool AS coded, (detail::jsonb ->> 'stored')::bool AS stored
            FROM audit WHERE object = $1 AND act = 'fill' ORDER BY seq"""
INTENT = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "capture_method": "automatic",
          "amount_received": 1299, "currency": "eur", "metadata": {"reference": "pay_1-1"}}  # fmt: skip


async def kept(vault, card):
    [row] = await vault.fetch(ROW, hex_of(card["id"]))
    return row


async def until_ended(vault, card):
    for _ in range(300):
        row = await kept(vault, card)
        if not row["sealed"]:
            return row
        await asyncio.sleep(0.02)
    raise AssertionError("the security code is still there")


async def lost(vault, psp):
    """A card whose first request left with its code, and was not answered."""
    card = await vault.tokenize()
    psp.behavior = "drop"
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    assert sent["outcome"] == "lost"
    psp.behavior, psp.reply = "answer", INTENT
    return card, vault.fill(card["id"], psp.url, again=True)


async def test_while_it_is_in_doubt_the_same_request_goes_again_as_it_went(vault, psp):
    card, asked = await lost(vault, psp)
    until = (await kept(vault, card))["expires_at"]
    psp.status = 503
    await vault.core_asks("POST", "/v1/fills", asked)
    assert (await kept(vault, card))["expires_at"] == until, "doubt prolongs nothing"
    psp.status = 200
    _, sent = await vault.core_asks("POST", "/v1/fills", asked)
    assert (sent["outcome"], sent["status"]) == ("answered", 200)
    bodies = [body for _, _, body in psp.seen]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1, "byte for byte"
    assert parse_qs(bodies[0])[CVC] == [CODE]
    await until_ended(vault, card)
    assert [r["coded"] for r in await vault.fetch(WENT, card["id"])] == [True, True, True], "each time is on record"


async def test_with_its_answer_the_code_is_gone_and_a_core_that_did_not_hear_it_is_told_again(vault, psp):
    card, psp.reply = await vault.tokenize(), INTENT
    _, first = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    row = await until_ended(vault, card)
    told = json.loads(row["answer"])
    assert CODE not in f"{told | {'seconds': 0}}", "and how long it took may have any digits"
    status, again = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url, again=True))
    assert (status, again) == (200, {**first, "stored": True})
    assert len(psp.seen) == 1, "the PSP was not asked"
    assert [(r["coded"], r["stored"]) for r in await vault.fetch(WENT, card["id"])] == [(True, None), (None, True)]


async def test_a_refusal_takes_the_code_away_and_is_not_told_again(vault, psp):
    """Another send may have been before it, and done what this one was refused."""
    card, psp.reply, psp.status = await vault.tokenize(), FOUND, 400
    await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    assert (await until_ended(vault, card))["answer"] is None
    _, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url, again=True))
    assert (refused["code"], refused["repeatable"]) == ("security_code_gone", False)
    assert len(psp.seen) == 1


@pytest.mark.parametrize("changed", [{"attempt": "pay_1-2"}, {"body": "amount=1&"}], ids=["attempt", "amount"])
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "in doubt"])
async def test_another_request_by_the_card_gets_neither_the_code_nor_the_answer(vault, psp, changed, ended):
    card, asked = await lost(vault, psp)
    if ended:
        await vault.core_asks("POST", "/v1/fills", asked)
        await until_ended(vault, card)
    before = len(psp.seen)
    other = asked | changed | {"again": False}
    if "body" in changed:
        other["body"] = changed["body"] + asked["body"]
    _, sent = await vault.core_asks("POST", "/v1/fills", other)
    assert "stored" not in sent
    [(_, _, body)] = psp.seen[before:]
    assert CVC not in parse_qs(body)


@pytest.mark.parametrize("how", ["killed", "minutes over", "database emptied"])
async def test_what_went_with_a_code_that_is_gone_is_not_repeated_and_says_so(vault, psp, how):
    card, asked = await lost(vault, psp)
    if how == "killed":
        vault.stop(kill=True)
        vault.start()
    elif how == "minutes over":
        await vault.fetch("UPDATE security_codes SET expires_at = now() WHERE card_id = $1::uuid", hex_of(card["id"]))
    else:
        await vault.fetch("DELETE FROM security_codes WHERE card_id = $1::uuid", hex_of(card["id"]))
    status, refused = await vault.core_asks("POST", "/v1/fills", asked)
    assert (status, refused["code"], refused["sent"], refused["repeatable"]) == (
        410,
        "security_code_gone",
        False,
        False,
    )
    assert len(psp.seen) == 1, "another request under the same key would teach nothing, or be another payment"
    assert ("fill", "security_code_gone") in await vault.acts(card["id"])
    # A fresh payment by the same card goes, without it.
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url, attempt="pay_2-1"))
    assert sent["outcome"] == "answered"


async def test_what_went_without_a_code_is_repeated_for_as_long_as_the_card_is_there(vault, psp):
    card = await vault.tokenize(cvc=None)
    psp.behavior = "drop"
    await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    vault.stop(kill=True)
    vault.start()
    psp.behavior = "answer"
    for _ in range(2):
        _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url, again=True))
        assert (sent["outcome"], sent.get("stored")) == ("answered", None)
    assert len({body for _, _, body in psp.seen}) == 1
    assert (await vault.core_asks("DELETE", f"/v1/cards/{card['id']}"))[0] == 200
    _, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url, again=True))
    assert (refused["code"], refused["sent"], refused["repeatable"]) == ("card_gone", False, False)


FOUND = {"error": {"type": "invalid_request_error", "message": "no"}}
DECLINED = {"error": {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}}
ACTION = {
    "resultCode": "RedirectShopper",
    "action": {"type": "redirect", "url": "https://bank.example", "method": "GET"},
}
REFUSED = {"status": 422, "errorCode": "130", "message": "no", "errorType": "validation"}
ANSWERS = {
    "approved": (STRIPE, 200, INTENT, {}, True, True),
    "approved, to be captured by hand": (
        STRIPE, 200, {**INTENT, "status": "requires_capture", "capture_method": "manual", "amount_capturable": 1299}, {},
        True, True,
    ),
    "declined": (STRIPE, 402, DECLINED, {}, True, True),
    "refused": (STRIPE, 400, FOUND, {}, True, False),
    "the stored refusal of the first": (STRIPE, 400, FOUND, {"idempotent-replayed": "true"}, True, True),
    "the key is in use": (STRIPE, 409, {"error": {"type": "idempotency_error"}}, {}, False, False),
    "the key was used otherwise": (STRIPE, 400, {"error": {"type": "idempotency_error"}}, {}, False, False),
    "busy": (STRIPE, 429, FOUND, {}, False, False),
    "failed": (STRIPE, 500, FOUND, {"idempotent-replayed": "true"}, False, False),
    "of another attempt": (STRIPE, 200, {**INTENT, "metadata": {"reference": "pay_9-1"}}, {}, False, False),
    "nonsense": (STRIPE, 200, {}, {}, False, False),
    "no JSON": (STRIPE, 200, "<html>", {}, False, False),
    "nothing": (STRIPE, 200, "", {}, False, False),
    "authorized": (ADYEN, 200, {"resultCode": "Authorised", "pspReference": "P1"}, {}, True, True),
    "a challenge": (ADYEN, 200, ACTION, {}, True, True),
    "pending": (ADYEN, 200, {"resultCode": "Pending", "pspReference": "P1"}, {}, True, True),
    "refused by the issuer": (ADYEN, 200, {"resultCode": "Refused", "refusalReasonCode": "2"}, {}, True, True),
    "invalid": (ADYEN, 422, REFUSED, {}, True, False),
    "in progress": (ADYEN, 422, {**REFUSED, "errorCode": "704"}, {"transient-error": "true"}, False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_ends_the_authorization_when_the_connector_can_tell_what_became_of_it(name):
    connector, status, document, headers, first, again = ANSWERS[name]
    body = document if isinstance(document, str) else msgspec.json.encode(document).decode()
    sent = Sent("answered", 0.1, status, headers, body)
    assert ends(connector, "pay_1-1", sent, first=True) is first
    assert ends(connector, "pay_1-1", sent, first=False) is again


@pytest.mark.parametrize("outcome", ["lost", "not_sent"])
def test_what_was_not_answered_is_not_over(outcome):
    assert not ends(STRIPE, "pay_1-1", Sent(outcome, 0.1), first=True)
