"""Answers and notifications validate against the PSPs' own published specifications."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stripe
from jsonschema import Draft202012Validator

from scrooge.sandbox.adyen.fields import FIELDS

from .conftest import Receiver, Server, adyen_payment, listening, stripe_at

SPECS = Path(__file__).parents[3] / "shared" / "reference" / "specs"


@cache
def spec(path: str) -> dict[str, Any]:
    file = SPECS / path
    if not file.exists():
        pytest.skip(f"the published specification {path} is not here")
    return json.loads(file.read_text())


def nullable(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` in words that JSON Schema knows."""
    if isinstance(node, list):
        return [nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: nullable(value) for name, value in node.items()}
    if node.pop("nullable", False) is True:
        return {"anyOf": [node, {"type": "null"}]}
    return node


@cache
def schema(path: str, name: str) -> Draft202012Validator:
    components = nullable(spec(path)["components"])
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})


def conforms(path: str, name: str, document: Any) -> None:
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in schema(path, name).iter_errors(document)
    ]
    assert not errors, f"{name}: {errors}"


STRIPE = "stripe/spec3_2023-08-16_payments.json"
CHECKOUT = "adyen/CheckoutService-v72.json"
WEBHOOKS = "adyen/Webhooks-v1.json"
MANAGEMENT = "adyen/ManagementService-v3_trimmed.json"


def plain(resource: Any) -> Any:
    return json.loads(str(resource))


@pytest.mark.parametrize(
    ("token", "manual"),
    [
        ("pm_card_visa", True),
        ("pm_card_mastercard", False),
        ("pm_card_threeDSecure2Required", True),
        ("pm_card_chargeDeclinedIncorrectCvc", True),
        ("pm_card_sandbox_pending", True),
    ],
)
def test_stripes_payment_conforms(sandbox: Server, key: str, token: str, manual: bool):
    client = stripe_at(sandbox, key)
    params: Any = {
        "amount": 1299,
        "currency": "eur",
        "payment_method": token,
        "confirm": True,
        "capture_method": "manual" if manual else "automatic",
        "return_url": "https://shop.example/return",
        "expand": ["latest_charge"],
    }
    try:
        intent = plain(client.v1.payment_intents.create(params=params))
    except stripe.CardError as declined:
        error = json.loads(declined.http_body)
        conforms(STRIPE, "error", error)
        intent = error["error"]["payment_intent"]
    conforms(STRIPE, "payment_intent", intent)
    if intent["latest_charge"] and intent["status"] == "succeeded":
        refund = client.v1.refunds.create(params={"payment_intent": intent["id"]})
        conforms(STRIPE, "refund", plain(refund))
        conforms(STRIPE, "charge", plain(client.v1.charges.retrieve(refund.charge)))


def test_stripes_other_objects_conform(sandbox: Server, key: str, receiver: Receiver):
    client = stripe_at(sandbox, key)
    endpoint = client.v1.webhook_endpoints.create(
        params={"url": receiver.url, "enabled_events": ["payment_intent.canceled"]}
    )
    conforms(STRIPE, "webhook_endpoint", plain(endpoint))
    conforms(STRIPE, "customer", plain(client.v1.customers.create()))
    method = client.v1.payment_methods.retrieve("pm_card_amex")
    conforms(STRIPE, "payment_method", plain(method))
    intent = client.v1.payment_intents.create(params={"amount": 1, "currency": "eur"})
    client.v1.payment_intents.cancel(intent.id)
    [event] = receiver.wait(1)
    conforms(STRIPE, "event", event)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.retrieve("pi_none")
    conforms(STRIPE, "error", json.loads(refused.value.http_body))


@pytest.mark.parametrize("token", ["stored_visa", "stored_lost_card", "stored_challenge", "stored_pending"])
def test_adyens_answers_conform(adyen_client, merchant: str, token: str):
    request = adyen_payment(merchant, "spec", token)
    conforms(CHECKOUT, "PaymentRequest", request)
    answer = adyen_client.checkout.payments_api.payments(request).message
    conforms(CHECKOUT, "PaymentResponse", answer)
    if "action" in answer:
        conforms(CHECKOUT, "CheckoutRedirectAction", answer["action"])


def test_adyens_modifications_and_errors_conform(sandbox: Server, adyen_client, merchant: str):
    psp = adyen_client.checkout.payments_api.payments(adyen_payment(merchant, "m")).message["pspReference"]
    change = adyen_client.checkout.modifications_api
    amount = {"merchantAccount": merchant, "amount": {"value": 99, "currency": "EUR"}}
    own = {"merchantAccount": merchant, "reference": "own"}
    for name, answer in (
        ("PaymentCaptureResponse", change.capture_authorised_payment(amount, psp)),
        ("PaymentRefundResponse", change.refund_captured_payment(amount, psp)),
        ("PaymentCancelResponse", change.cancel_authorised_payment_by_psp_reference(own, psp)),
        ("PaymentReversalResponse", change.refund_or_cancel_payment(own, psp)),
        (
            "StandalonePaymentCancelResponse",
            change.cancel_authorised_payment(own | {"paymentReference": "m"}),
        ),
    ):
        conforms(CHECKOUT, name, answer.message)
    status, body = sandbox.call("POST", "/adyen/v72/payments", {}, x_api_key="k")
    assert status == 403
    conforms(CHECKOUT, "ServiceError", json.loads(body))


def test_adyens_notifications_conform(adyen_client, merchant: str, receiver: Receiver):
    listening(adyen_client, merchant, receiver.url)
    request = adyen_payment(merchant, "n", "stored_capture_fails")
    psp = adyen_client.checkout.payments_api.payments(request).message["pspReference"]
    change = adyen_client.checkout.modifications_api
    amount = {"merchantAccount": merchant, "amount": {"value": 99, "currency": "EUR"}}
    change.capture_authorised_payment(amount, psp)
    change.refund_captured_payment(amount, psp)
    change.cancel_authorised_payment_by_psp_reference({"merchantAccount": merchant}, psp)
    change.cancel_authorised_payment({"merchantAccount": merchant, "paymentReference": "x"})
    names = {
        "AUTHORISATION": "AuthorisationNotificationRequest",
        "CAPTURE": "CaptureNotificationRequest",
        "CAPTURE_FAILED": "RefundCaptureFailedNotificationRequest",
        "CANCELLATION": "CancellationNotificationRequest",
        "REFUND": "RefundNotificationRequest",
        "TECHNICAL_CANCEL": "ModificationNotificationRequest",
    }
    seen = set()
    for document in receiver.wait(6):
        code = document["notificationItems"][0]["NotificationRequestItem"]["eventCode"]
        conforms(WEBHOOKS, names[code], document)
        seen.add(code)
    assert seen == set(names)


def test_adyens_webhooks_conform(adyen_client, merchant: str):
    listening(adyen_client, merchant, "http://127.0.0.1:9/none")
    api = adyen_client.management.webhooks_merchant_level_api
    conforms(MANAGEMENT, "ListWebhooksResponse", api.list_all_webhooks(merchant).message)


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"CreateMerchantWebhookRequest"}))
def test_the_fields_we_know_are_the_ones_published(name: str):
    published = set(spec(CHECKOUT)["components"]["schemas"][name]["properties"])
    unsupported = {"fastlaneData", "networkToken", "encryptedPassword"}
    assert FIELDS[name] <= published
    assert name == "CardDetails" or published - FIELDS[name] <= unsupported
