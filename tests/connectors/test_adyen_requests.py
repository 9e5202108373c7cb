"""What we ask of Adyen, field by field: an accountant's table, not a property."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Command, render
from scrooge.domain.mandate import Use
from scrooge.errors import InvalidField

from .cases import adyen_words as aw


def document(command: Command) -> dict[str, Any]:
    return msgspec.json.decode(render(ADYEN, command).body)


def test_adyen_authorizes_a_stored_card() -> None:
    request = render(ADYEN, aw.AUTHORIZE)
    assert (request.method, request.path) == ("POST", "/v72/payments")
    assert request.idempotency_key == "pay_1-1"
    assert document(aw.AUTHORIZE) == {
        "merchantAccount": "ExampleEU",
        "reference": "pay_1-1",
        "merchantOrderReference": "pay_1",
        "amount": {"value": 1299, "currency": "EUR"},
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "M5N7TQ4TG5PFWR50"},
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": "CardOnFile",
        "shopperReference": "user-8123",
        "returnUrl": "https://shop.example/return/ret_1",
        "additionalData": {"manualCapture": "true"},
    }


def test_a_sale_is_captured_by_adyen_at_once() -> None:
    found = document(aw.SALE)
    assert found["captureDelayHours"] == 0
    assert "additionalData" not in found


def test_a_merchants_own_payment_is_a_subscription_at_adyen() -> None:
    found = document(structs.replace(aw.AUTHORIZE, initiator="merchant", return_url=None))
    assert found["recurringProcessingModel"] == "Subscription"
    assert found["returnUrl"].startswith("https://scrooge.invalid/")


@pytest.mark.parametrize(
    ("use", "model"),
    [
        (Use.RECURRING, "Subscription"),
        (Use.INSTALMENT, "Subscription"),
        (Use.UNSCHEDULED, "UnscheduledCardOnFile"),
    ],
)
def test_adyen_is_told_what_the_payer_agrees_to_and_what_they_agreed_to(use: Use, model: str) -> None:
    later = document(structs.replace(aw.AUTHORIZE, initiator="merchant", use=use))
    assert (later["shopperInteraction"], later["recurringProcessingModel"]) == ("ContAuth", model)
    first = document(structs.replace(aw.AUTHORIZE, psp_token=None, vault_card="ins_1", save=str(use)))
    assert (first["storePaymentMethod"], first["recurringProcessingModel"]) == (True, model)
    assert first["shopperInteraction"] == "Ecommerce"


def test_adyens_shopper_is_the_one_the_token_belongs_to() -> None:
    assert document(structs.replace(aw.AUTHORIZE, psp_customer="shopper-7"))["shopperReference"] == ("shopper-7")
    assert "shopperReference" not in document(structs.replace(aw.AUTHORIZE, customer=None))
    with pytest.raises(InvalidField) as refused:
        render(ADYEN, structs.replace(aw.AUTHORIZE, customer="ab"))
    assert refused.value.param == "customer"


def test_a_descriptor_is_cut_to_what_adyen_takes() -> None:
    command = structs.replace(aw.AUTHORIZE, statement_descriptor="EXAMPLE*PREMIUM <b> plan here")
    assert document(command)["shopperStatement"] == "EXAMPLE*PREMIUM  b  pl"


def test_adyen_captures_voids_and_refunds() -> None:
    common = {"merchantAccount": "ExampleEU"}
    ten = {"amount": {"value": 1000, "currency": "EUR"}}
    for command, path, expected in (
        (aw.CAPTURE, "captures", {**common, **ten, "reference": "pay_1-2"}),
        (aw.VOID, "cancels", {**common, "reference": "pay_1-3"}),
        (aw.REFUND, "refunds", {**common, **ten, "reference": "pay_1-4"}),
    ):
        request = render(ADYEN, command)
        assert request.path == f"/v72/payments/AUTH1/{path}"
        assert request.idempotency_key == command.reference
        assert msgspec.json.decode(request.body) == expected


def test_a_payment_whose_name_adyen_never_told_is_canceled_by_ours() -> None:
    """Adyen's specification does not say whose reference the notification carries: either finds the attempt."""
    assert ADYEN.reversal is not None
    request = ADYEN.reversal.build(aw.AUTHORIZE)
    assert (request.method, request.path, request.idempotency_key) == ("POST", "/v72/cancels", "pay_1-1-reversal")
    assert msgspec.json.decode(request.body) == {
        "merchantAccount": "ExampleEU", "paymentReference": "pay_1-1", "reference": "pay_1-1",
    }  # fmt: skip


def test_a_payment_that_could_not_be_canceled_is_reversed_whatever_became_of_it_by_adyens_name() -> None:
    assert ADYEN.reversal is not None
    request = ADYEN.reversal.build(structs.replace(aw.AUTHORIZE, psp_reference="AUTH1"))
    assert (request.method, request.path) == ("POST", "/v72/payments/AUTH1/reversals")
    assert request.idempotency_key == "pay_1-1-reversal-named", "not the key of the cancellation"
    assert msgspec.json.decode(request.body) == {"merchantAccount": "ExampleEU", "reference": "pay_1-1"}


def test_only_adyens_own_details_are_passed_on() -> None:
    given = {"redirectResult": "a", "payload": "b", "threeDSResult": "c", "utm_source": "d"}
    request = ADYEN.continuation.build(structs.replace(aw.BACK, details=given))
    assert request.path == "/v72/payments/details"
    del given["utm_source"]
    assert msgspec.json.decode(request.body) == {"details": given}
    with pytest.raises(InvalidField):
        ADYEN.continuation.build(structs.replace(aw.BACK, details={"utm_source": "d"}))


def test_a_payer_who_returns_with_other_details_is_not_answered_for_the_first() -> None:
    again = structs.replace(aw.BACK, details={"redirectResult": "another"})
    keys = [ADYEN.continuation.build(c).idempotency_key for c in (aw.BACK, aw.BACK, again)]
    assert keys[0] == keys[1] != keys[2]
    assert all(key and key.startswith("pay_1-1-continue") and len(key) <= 64 for key in keys)


@pytest.mark.parametrize(
    ("more", "live", "named"),
    [
        ({}, False, None),
        ({}, True, "live_prefix"),
        ({"live_prefix": "1797a841fbb37ca7-Example"}, True, None),
        ({"live_prefix": "evil.example/"}, True, "live_prefix"),
        ({"hmac_key": "not hex"}, False, "hmac_key"),
        ({"hmac_key": "abc"}, False, "hmac_key"),
        ({"hmac_key": "abcd"}, False, None),
        ({"notification_password": "x"}, False, "notification_user"),
        ({"notification_password": "x", "notification_user": "y"}, False, None),
    ],
)
def test_adyens_credentials_are_checked(more: dict[str, str], live: bool, named: str | None) -> None:
    answer = ADYEN.check_credentials({"api_key": "AQE", **more}, live)
    assert (answer is None) if named is None else (named in (answer or ""))


def test_a_live_address_is_the_merchants_own() -> None:
    url = ADYEN.live_url.format(live_prefix="1797a841fbb37ca7-Example")
    host = "1797a841fbb37ca7-Example-checkout-live.adyenpayments.com"
    assert url == f"https://{host}/checkout"
    assert ADYEN.base_url(f"{url}/v72/") == url


def test_adyen_takes_captures_in_parts_but_releases_only_the_whole() -> None:
    assert ADYEN.multi_capture
    assert not ADYEN.partial_void


@pytest.mark.parametrize(
    ("ours", "adyens"),
    [("low_value", "lowValue"), ("risk_analysis", "transactionRiskAnalysis"), ("secure_corporate", "secureCorporate")],
)
def test_adyen_is_told_which_exemption_to_ask_for(ours: str, adyens: str) -> None:
    """`never`: what the issuer will not exempt it declines softly, and then the payer is asked."""
    found = document(structs.replace(aw.AUTHORIZE, exemption=ours))
    assert found["additionalData"]["scaExemption"] == adyens
    assert found["authenticationData"] == {"attemptAuthentication": "never"}


def test_whoever_asks_adyen_for_an_authentication_asks_for_no_exemption() -> None:
    found = document(structs.replace(aw.AUTHORIZE, authenticate=True, exemption="low_value"))
    assert found["authenticationData"] == {"attemptAuthentication": "always"}
    assert "scaExemption" not in found["additionalData"]
