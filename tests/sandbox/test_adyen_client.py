"""The official `Adyen` library completes every operation against the sandbox."""

import urllib.parse
from typing import Any

import Adyen
import pytest
from Adyen.util import is_valid_hmac_notification

from scrooge.sandbox.cards import TEST_CARDS

from .conftest import Receiver, Server, adyen_payment, listening, wait_for
from .test_stripe_client import answer_challenge, never_answered, what


def pay(adyen: Adyen.Adyen, request: dict[str, Any]) -> dict[str, Any]:
    return adyen.checkout.payments_api.payments(request).message


def amount(value: int) -> dict[str, Any]:
    return {"value": value, "currency": "EUR"}


def test_an_authorization_is_captured_in_parts_and_refunded(sandbox, adyen_client, merchant):
    answer = pay(adyen_client, adyen_payment(merchant, "a-1"))
    assert answer["resultCode"] == "Authorised"
    assert answer["amount"] == amount(1299)
    assert len(answer["additionalData"]["networkTxReference"]) == 15
    psp = answer["pspReference"]
    change = adyen_client.checkout.modifications_api
    for value, reference in ((1000, "a-1-c1"), (299, "a-1-c2")):
        received = change.capture_authorised_payment(
            {"merchantAccount": merchant, "amount": amount(value), "reference": reference}, psp
        )
        assert received.status_code == 201
        assert received.message["status"] == "received"
        assert received.message["paymentPspReference"] == psp
    change.refund_captured_payment({"merchantAccount": merchant, "amount": amount(100), "reference": "a-1-r1"}, psp)
    lines = sandbox.truth(merchant_account=merchant)
    assert [(x["reference"], x["operation"], x["outcome"], x["minor"]) for x in lines] == [
        ("a-1", "authorize", "approved", 1299),
        ("a-1-c1", "capture", "approved", 1000),
        ("a-1-c2", "capture", "approved", 299),
        ("a-1-r1", "refund", "approved", 100),
    ]


def test_a_cancel_voids(sandbox: Server, adyen_client, merchant):
    psp = pay(adyen_client, adyen_payment(merchant, "v-1"))["pspReference"]
    adyen_client.checkout.modifications_api.cancel_authorised_payment_by_psp_reference(
        {"merchantAccount": merchant, "reference": "v-1-v"}, psp
    )
    assert what(sandbox.truth(reference="v-1-v", merchant_account=merchant)) == [("void", "approved", 1299)]


def test_a_payment_without_manual_capture_is_one_sale(sandbox, adyen_client, merchant):
    answer = pay(adyen_client, adyen_payment(merchant, "s-1", additionalData={}))
    assert what(sandbox.truth(psp_reference=answer["pspReference"])) == [("sale", "approved", 1299)]


def test_a_refusal_tells_the_issuers_words(sandbox: Server, adyen_client, merchant):
    answer = pay(adyen_client, adyen_payment(merchant, "n-1", "stored_do_not_honor"))
    assert (answer["resultCode"], answer["refusalReasonCode"]) == ("Refused", "2")
    assert answer["additionalData"]["refusalReasonRaw"] == "05 : Do not honor"
    stolen = pay(adyen_client, adyen_payment(merchant, "n-2", "stored_stolen_card"))
    assert stolen["additionalData"]["merchantAdviceCode"] == "03 : Do not try again"
    assert what(sandbox.truth(merchant_account=merchant)) == [("authorize", "declined", 1299)] * 2


@pytest.mark.parametrize("card", [c for c in TEST_CARDS if c.connector == "adyen"], ids=lambda c: c.token)
def test_every_test_card_does_what_it_says(adyen_client, merchant, card):
    result = pay(adyen_client, adyen_payment(merchant, "card", card.token))["resultCode"]
    number = {
        "type": "scheme",
        "number": card.number,
        "expiryMonth": "03",
        "expiryYear": "2034",
        "cvc": "737",
    }
    plain = pay(adyen_client, adyen_payment(merchant, "number") | {"paymentMethod": number})
    expected = {"declined": "Refused", "challenge": "RedirectShopper", "pending": "Pending", "sca": "Refused"}
    word = card.outcome.split(":")[0].split("_")[0]
    exact = {"pending_declined": "Received"}.get(card.outcome)
    again = "Authorised" if card.outcome.startswith("declined_at_first") else result
    assert result == (exact or expected.get(word, "Authorised"))
    assert plain["resultCode"] == again


@pytest.mark.parametrize(
    ("result", "code", "outcome"),
    [("success", "Authorised", "approved"), ("fail", "Refused", "declined")],
)
def test_a_challenge_is_concluded_by_details(sandbox, adyen_client, merchant, result, code, outcome):
    request = adyen_payment(merchant, "3ds", "stored_challenge")
    answer = pay(adyen_client, request)
    assert (answer["resultCode"], answer["action"]["type"]) == ("RedirectShopper", "redirect")
    query = answer_challenge(answer["action"]["url"], result)
    assert query["order"] == ["1"]
    assert sandbox.truth(merchant_account=merchant) == []
    api = adyen_client.checkout.payments_api
    brought = {"details": {"redirectResult": query["redirectResult"][0]}}
    final = api.payments_details(brought, idempotency_key=f"details-{result}").message
    assert final["resultCode"] == code
    assert final["pspReference"] == answer["pspReference"]
    assert what(sandbox.truth(merchant_account=merchant)) == [("authorize", outcome, 1299)]
    again = api.payments_details(brought, idempotency_key=f"details-{result}").message
    assert again == final
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        api.payments_details(brought)
    assert refused.value.error_code == "704"


def test_details_of_a_challenge_that_nobody_answered_decide_nothing(sandbox, adyen_client, merchant):
    action = pay(adyen_client, adyen_payment(merchant, "3ds-none", "stored_challenge"))["action"]
    brought = {"details": {"redirectResult": answer_challenge(action["url"], "abandon")["redirectResult"][0]}}
    api = adyen_client.checkout.payments_api
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        api.payments_details(brought)
    assert sandbox.truth(merchant_account=merchant) == []
    answer_challenge(action["url"], "success")
    assert api.payments_details(brought).message["resultCode"] == "Authorised"


def test_a_bank_that_never_answers_leaves_nothing_to_bring(sandbox, adyen_client, merchant):
    action = pay(adyen_client, adyen_payment(merchant, "3ds-never", "stored_challenge"))["action"]
    never_answered(action["url"], "timeout")
    brought = {"details": {"redirectResult": action["url"].rpartition("/")[2]}}
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        adyen_client.checkout.payments_api.payments_details(brought)
    assert sandbox.truth(merchant_account=merchant) == []


def test_a_subscription_payment_is_never_challenged(adyen_client, merchant):
    request = adyen_payment(
        merchant,
        "mit",
        "stored_challenge",
        shopperInteraction="ContAuth",
        recurringProcessingModel="Subscription",
    )
    assert pay(adyen_client, request)["refusalReasonCode"] == "38"


def test_a_stored_card_belongs_to_its_shopper(adyen_client, merchant):
    number = {
        "type": "scheme",
        "encryptedCardNumber": "test_5555555555554444",
        "encryptedExpiryMonth": "test_03",
        "encryptedExpiryYear": "test_2034",
    }
    first = pay(
        adyen_client,
        adyen_payment(merchant, "store", shopperReference="shopper-1", storePaymentMethod=True)
        | {"paymentMethod": number},
    )
    token = first["additionalData"]["tokenization.storedPaymentMethodId"]
    request = adyen_payment(merchant, "again", token, shopperReference="shopper-1", shopperInteraction="ContAuth")
    assert pay(adyen_client, request)["paymentMethod"]["brand"] == "mc"
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        pay(adyen_client, request | {"shopperReference": "shopper-2"})
    assert refused.value.error_code == "800"


def test_unknown_fields_and_missing_ones_are_refused(sandbox, adyen_client, merchant):
    with pytest.raises(Adyen.AdyenAPIValidationError) as unknown:
        pay(adyen_client, adyen_payment(merchant, "u") | {"colour": "red"})
    assert unknown.value.error_code == "702"
    for field, error in (
        ("amount", "100"),
        ("reference", "130"),
        ("returnUrl", "14_030"),
        ("paymentMethod", "14_006"),
    ):
        request = adyen_payment(merchant, "m")
        del request[field]
        with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as missing:
            pay(adyen_client, request)
        assert missing.value.error_code == error
    request = adyen_payment("", "m")
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        pay(adyen_client, request)
    assert sandbox.call("POST", "/adyen/v72/payments", request)[0] == 401


@pytest.mark.parametrize(
    ("currency", "units", "minor"),
    [
        ("IDR", 15000, 1500000),
        ("CLP", 1200, 12),
        ("ISK", 1200, 12),
        ("CVE", 7, 700),
        ("JPY", 1200, 1200),
        ("KWD", 1251, 1251),
    ],
)
def test_truth_counts_in_iso_minor_units(sandbox, adyen_client, merchant, currency, units, minor):
    pay(adyen_client, adyen_payment(merchant, "c", amount={"value": units, "currency": currency}))
    [line] = sandbox.truth(merchant_account=merchant)
    assert (line["currency"], line["minor"]) == (currency, minor)


def items(receiver: Receiver, count: int, hmac_key: str) -> list[dict[str, Any]]:
    """The items of so many notifications, each with a valid signature."""
    documents = receiver.wait(count)
    assert all(is_valid_hmac_notification(document, hmac_key) for document in documents)
    return [d["notificationItems"][0]["NotificationRequestItem"] for d in documents]


def test_notifications_are_signed_as_the_library_expects(adyen_client, merchant, receiver):
    hmac_key = listening(adyen_client, merchant, receiver.url, username="scrooge", password="ten")
    psp = pay(adyen_client, adyen_payment(merchant, "hook"))["pspReference"]
    [authorized] = items(receiver, 1, hmac_key)
    assert authorized["eventCode"] == "AUTHORISATION"
    assert (authorized["pspReference"], authorized["success"]) == (psp, "true")
    assert receiver.taken[0][0]["Authorization"] == "Basic c2Nyb29nZTp0ZW4="
    change = adyen_client.checkout.modifications_api
    received = change.capture_authorised_payment(
        {"merchantAccount": merchant, "amount": amount(1299), "reference": "hook-c"}, psp
    ).message
    captured = items(receiver, 2, hmac_key)[1]
    assert (captured["eventCode"], captured["success"]) == ("CAPTURE", "true")
    assert captured["originalReference"] == psp
    assert captured["pspReference"] == received["pspReference"]
    assert captured["merchantReference"] == "hook-c"


def test_a_capture_of_too_much_is_received_and_then_fails(sandbox, adyen_client, merchant, receiver):
    hmac_key = listening(adyen_client, merchant, receiver.url)
    psp = pay(adyen_client, adyen_payment(merchant, "much"))["pspReference"]
    change = adyen_client.checkout.modifications_api
    change.capture_authorised_payment({"merchantAccount": merchant, "amount": amount(1300)}, psp)
    change.refund_captured_payment({"merchantAccount": merchant, "amount": amount(1)}, psp)
    news = {item["eventCode"]: item for item in items(receiver, 3, hmac_key)}
    assert news["CAPTURE"]["success"] == "false"
    assert news["CAPTURE"]["reason"].startswith("Insufficient balance on payment")
    assert news["REFUND"]["reason"] == "Transaction hasn't been captured, refund not possible"
    assert what(sandbox.truth(merchant_account=merchant))[1:] == [
        ("capture", "declined", 1300),
        ("refund", "declined", 1),
    ]


def test_a_capture_can_fail_later(sandbox: Server, adyen_client, merchant, receiver):
    hmac_key = listening(adyen_client, merchant, receiver.url)
    psp = pay(adyen_client, adyen_payment(merchant, "cf", "stored_capture_fails"))["pspReference"]
    received = adyen_client.checkout.modifications_api.capture_authorised_payment(
        {"merchantAccount": merchant, "amount": amount(1299), "reference": "cf-c"}, psp
    ).message
    news = items(receiver, 3, hmac_key)
    assert [item["eventCode"] for item in news][1:] == ["CAPTURE", "CAPTURE_FAILED"]
    assert news[2]["pspReference"] == received["pspReference"]
    assert what(sandbox.truth(merchant_account=merchant))[1:] == [
        ("capture", "approved", 1299),
        ("capture", "reversed", 1299),
    ]


def test_a_sale_can_be_taken_back_later(sandbox: Server, adyen_client, merchant):
    pay(adyen_client, adyen_payment(merchant, "sf", "stored_capture_fails", additionalData={}))
    wait_for(lambda: len(sandbox.truth(merchant_account=merchant)) == 2)
    assert what(sandbox.truth(merchant_account=merchant)) == [
        ("sale", "approved", 1299),
        ("sale", "reversed", 1299),
    ]


def test_a_refund_can_fail_later(sandbox: Server, adyen_client, merchant, receiver):
    hmac_key = listening(adyen_client, merchant, receiver.url)
    request = adyen_payment(merchant, "rf", "stored_refund_fails", additionalData={})
    psp = pay(adyen_client, request)["pspReference"]
    adyen_client.checkout.modifications_api.refund_captured_payment(
        {"merchantAccount": merchant, "amount": amount(1299), "reference": "rf-r"}, psp
    )
    codes = [item["eventCode"] for item in items(receiver, 3, hmac_key)]
    assert codes == ["AUTHORISATION", "REFUND", "REFUND_FAILED"]
    assert what(sandbox.truth(reference="rf-r", merchant_account=merchant)) == [
        ("refund", "approved", 1299),
        ("refund", "reversed", 1299),
    ]


@pytest.mark.parametrize(("token", "success"), [("stored_pending", "true"), ("stored_pending_declined", "false")])
def test_a_pending_payment_concludes_by_notification(adyen_client, merchant, receiver, token, success):
    hmac_key = listening(adyen_client, merchant, receiver.url)
    pay(adyen_client, adyen_payment(merchant, "pend", token))
    [item] = items(receiver, 1, hmac_key)
    assert (item["eventCode"], item["success"]) == ("AUTHORISATION", success)


def test_a_lost_payment_is_canceled_by_its_reference(sandbox, adyen_client, merchant, receiver):
    hmac_key = listening(adyen_client, merchant, receiver.url)
    pay(adyen_client, adyen_payment(merchant, "lost"))
    cancel = adyen_client.checkout.modifications_api.cancel_authorised_payment
    received = cancel({"merchantAccount": merchant, "paymentReference": "lost"}).message
    assert (received["status"], received["paymentReference"]) == ("received", "lost")
    cancel({"merchantAccount": merchant, "paymentReference": "never-was"})
    done = [i for i in items(receiver, 3, hmac_key) if i["eventCode"] == "TECHNICAL_CANCEL"]
    assert {item["merchantReference"]: item["success"] for item in done} == {
        "lost": "true",
        "never-was": "false",
    }
    assert what(sandbox.truth(merchant_account=merchant))[1:] == [("void", "approved", 1299)]


@pytest.mark.parametrize(("manual", "operation"), [("true", "void"), ("false", "refund")])
def test_a_reversal_does_what_is_still_possible(sandbox, adyen_client, merchant, manual, operation):
    request = adyen_payment(merchant, "rev", additionalData={"manualCapture": manual})
    psp = pay(adyen_client, request)["pspReference"]
    adyen_client.checkout.modifications_api.refund_or_cancel_payment(
        {"merchantAccount": merchant, "reference": "rev-r"}, psp
    )
    assert what(sandbox.truth(reference="rev-r", merchant_account=merchant)) == [(operation, "approved", 1299)]


def test_webhooks_are_listed_changed_and_removed(adyen_client, merchant):
    api = adyen_client.management.webhooks_merchant_level_api
    listening(adyen_client, merchant, "http://127.0.0.1:9/none")
    [webhook] = api.list_all_webhooks(merchant).message["data"]
    changed = api.update_webhook({"active": False}, merchant, webhook["id"]).message
    assert changed["active"] is False
    api.remove_webhook(merchant, webhook["id"])
    assert api.list_all_webhooks(merchant).message["itemsTotal"] == 0


def test_an_expired_card_is_refused(adyen_client, merchant):
    number = {
        "type": "scheme",
        "number": "4242424242424242",
        "expiryMonth": "03",
        "expiryYear": "2020",
    }
    answer = pay(adyen_client, adyen_payment(merchant, "old") | {"paymentMethod": number})
    assert answer["refusalReason"] == "Expired Card"


def test_return_urls_keep_their_own_query(adyen_client, merchant):
    request = adyen_payment(merchant, "q", "stored_challenge") | {"returnUrl": "https://a.example"}
    action = pay(adyen_client, request)["action"]
    query = answer_challenge(action["url"], "success")
    assert list(query) == ["redirectResult"]
    assert urllib.parse.urlsplit(action["url"]).path.startswith("/acs/")
