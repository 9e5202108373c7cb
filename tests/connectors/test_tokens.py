"""Tokens that PSPs keep for us: how they are ended, and which answer says that they are gone."""

import json
from pathlib import Path
from typing import Any

import pytest

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Connector, Kept
from scrooge.connectors.kit import UnreadableReply
from scrooge.connectors.stripe import STRIPE

SPECS = Path(__file__).parents[3] / "shared" / "reference" / "specs"
KEPT = Kept(psp_token="to/ken", psp_customer="user 1", merchant_account="Shop")


def stripe_error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "message": message, "code": code}}


DETACHED = {"object": "payment_method", "customer": None}
UNATTACHED = "The payment method you provided is not attached to a customer so detachment is impossible."
ANSWERS = [
    (STRIPE, 200, DETACHED, True),
    (STRIPE, 200, {**DETACHED, "customer": "cus_1"}, False),
    (STRIPE, 404, stripe_error("No such PaymentMethod", "resource_missing"), True),
    (STRIPE, 400, stripe_error(UNATTACHED), True),
    (STRIPE, 400, stripe_error("Something else"), False),
    (STRIPE, 404, stripe_error("Unrecognized request URL"), False),
    (STRIPE, 401, stripe_error("Invalid API Key"), False),
    (STRIPE, 429, stripe_error("Too many requests", "rate_limit"), False),
    (STRIPE, 500, {"error": {"type": "api_error"}}, False),
    (ADYEN, 204, {}, True),
    (ADYEN, 422, {"errorCode": "800", "message": "Contract not found"}, True),
    (ADYEN, 422, {"errorCode": "803", "message": "PaymentDetail not found"}, True),
    (ADYEN, 422, {"errorCode": "100", "message": "No amount specified"}, False),
    (ADYEN, 404, {}, False),
    (ADYEN, 401, {"errorCode": "000"}, False),
    (ADYEN, 500, {"errorCode": "905"}, False),
]


@pytest.mark.parametrize(
    ("connector", "status", "document", "gone"), ANSWERS, ids=lambda x: x.name if isinstance(x, Connector) else str(x)
)
def test_only_a_definitive_answer_says_that_a_token_is_gone(
    connector: Connector, status: int, document: dict[str, Any], gone: bool
):
    assert connector.forget is not None
    assert connector.forget.read(status, document) is gone


@pytest.mark.parametrize(("status", "document"), [(200, {"object": "charge"}), (400, {}), (200, {})])
def test_an_answer_of_stripe_that_is_something_else_is_not_believed(status: int, document: dict[str, Any]):
    assert STRIPE.forget is not None
    with pytest.raises((UnreadableReply, LookupError)):
        STRIPE.forget.read(status, document)


def test_stripe_is_asked_to_detach_it_without_a_key():
    assert STRIPE.forget is not None
    request = STRIPE.forget.build(KEPT)
    assert (request.method, request.path) == ("POST", "/v1/payment_methods/to%2Fken/detach")
    assert request.idempotency_key is None


def test_adyen_is_asked_as_its_specification_says():
    assert ADYEN.forget is not None
    request = ADYEN.forget.build(KEPT)
    path, _, query = request.path.partition("?")
    assert (request.method, path) == ("DELETE", "/v72/storedPaymentMethods/to%2Fken")
    assert query == "merchantAccount=Shop&shopperReference=user+1"
    page = SPECS / "adyen" / "CheckoutService-v72.json"
    if not page.exists():
        pytest.skip("the published specification is not here")
    spec = json.loads(page.read_text())["paths"]["/storedPaymentMethods/{storedPaymentMethodId}"]["delete"]
    wanted = {p["name"] for p in spec["parameters"] if p["required"] and p["in"] == "query"}
    assert wanted == {"merchantAccount", "shopperReference"}
    assert "204" in spec["responses"]
