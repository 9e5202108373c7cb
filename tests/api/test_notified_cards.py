"""A card number that a PSP writes into a notification or into its words for a decline is not kept."""

import json

import pytest

from scrooge.cards import is_card_number, redacted_document
from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Command
from scrooge.connectors.send import read, without_cards
from scrooge.connectors.stripe import STRIPE
from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined, Rejected
from scrooge.flows.receive import ids_of
from scrooge.money import Money

NUMBER = "4000009912345678"


def in_escapes(document: object) -> str:
    return json.dumps(document).replace("4", "\\u0034")


@pytest.mark.parametrize(
    "written",
    [
        NUMBER,
        int(NUMBER),
        f"card {NUMBER[:4]} {NUMBER[4:8]} {NUMBER[8:12]} {NUMBER[12:]} was refused",
        f"<Card pan={NUMBER}/>",
        {"cvc": "739"},
        {"securityCode": "739", "deep": [{"card": "-".join((NUMBER[:4], NUMBER[4:8], NUMBER[8:12], NUMBER[12:]))}]},
        {NUMBER: True},
    ],
)
def test_a_document_from_outside_is_kept_without_its_card_and_otherwise_as_it_was(written):
    for escaped in (json.dumps, *([] if isinstance(written, int) else [in_escapes])):
        raw = escaped({"id": "evt_1", "data": {"amount": 1299, "echoed": written}}).encode()
        clean = redacted_document(raw)
        assert NUMBER not in clean.decode().replace(" ", "").replace("-", "")
        assert "739" not in clean.decode()
        assert json.loads(clean)["id"] == "evt_1"
        assert json.loads(clean)["data"]["amount"] == 1299


def test_what_has_no_card_is_the_same_object_and_the_psps_ids_stay():
    for raw in (b'{"id":"evt_1","amount":1299,"at":"2026-11-21T21:54:58Z"}', b"not json", b'{"cvcCheck":"pass"}'):
        assert redacted_document(raw) is raw
    raw = json.dumps({"pspReference": NUMBER, "note": NUMBER}).encode()
    assert json.loads(redacted_document(raw, {NUMBER})) == {"pspReference": NUMBER, "note": NUMBER}
    assert NUMBER not in redacted_document(b"card=" + NUMBER.encode()).decode()


@pytest.mark.parametrize(
    "field", ["networkTxReference", "tokenization.storedPaymentMethodId", "tokenization.shopperReference"]
)
def test_what_an_approval_is_known_by_stays_even_where_it_looks_like_a_card_number(field: str):
    """Visa's transaction identifiers have fifteen digits, as an American Express card has: a later payment names them."""
    alike = "341111597241002"
    assert is_card_number(alike)
    known = {"networkTxReference": "n", "tokenization.storedPaymentMethodId": "t", "tokenization.shopperReference": "s"}
    item = {
        "eventCode": "AUTHORISATION", "success": "true", "pspReference": "P1", "merchantReference": "pay_1-1",
        "amount": {"value": 1299, "currency": "EUR"}, "additionalData": known | {field: alike, "note": NUMBER},
    }  # fmt: skip
    raw = json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()
    clean = redacted_document(raw, {text for n in ADYEN.notifications(raw) for text in ids_of(n)})
    assert NUMBER not in clean.decode()
    assert [n.outcome for n in ADYEN.notifications(clean)] == [n.outcome for n in ADYEN.notifications(raw)]
    assert alike in clean.decode()


def test_what_a_psp_says_by_itself_is_read_without_the_card():
    """Not every answer comes by way of the vault: captures, refunds and questions do not."""
    command = Command(
        operation=Operation.CAPTURE, amount=Money(1299, "EUR"), reference="pay_1-2", payment="pay_1",
        merchant_account="acct_1", parent_psp_reference="pi_1",
    )  # fmt: skip
    body = {"error": {"type": "invalid_request_error", "code": "x", "message": f"the card {NUMBER} cannot be captured"}}
    endpoint = STRIPE.endpoints[Operation.CAPTURE]
    outcome, _ = read(STRIPE, endpoint, command, 400, {}, json.dumps(body).encode(), True)
    assert isinstance(outcome, Rejected)
    assert "cannot be captured" in outcome.reason
    assert NUMBER not in outcome.reason


def test_a_psps_words_are_kept_without_the_card():
    declined = without_cards(Declined(Decline.UNMAPPED, "05", f"card {NUMBER} is lost", psp_reference="pi_1"))
    assert declined == Declined(Decline.UNMAPPED, "05", "card [card number] is lost", psp_reference="pi_1")
    assert NUMBER not in str(without_cards(Rejected(f"422: {NUMBER}")))
    approved = Approved("pi_1")
    assert without_cards(approved) is approved
