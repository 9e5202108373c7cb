"""What we ask of Stripe, field by field: an accountant's table, not a property."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec import structs

from scrooge.connectors.connector import Request, render
from scrooge.connectors.stripe import STRIPE, VERSION
from scrooge.domain.attempt import Operation
from scrooge.domain.mandate import Use
from scrooge.errors import UnsupportedOperation

from .cases import stripe_words as sw


def fields(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def test_stripe_authorizes_by_one_request() -> None:
    request = render(STRIPE, sw.AUTHORIZE)
    assert (request.method, request.path) == ("POST", "/v1/payment_intents")
    assert request.idempotency_key == "pay_1-1"
    assert fields(request) == {
        "amount": "1299",
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "capture_method": "manual",
        "confirm": "true",
        "metadata[reference]": "pay_1-1",
        "metadata[payment]": "pay_1",
        "expand[]": "latest_charge",
        "return_url": "https://shop.example/return/ret_1",
    }


def test_a_sale_is_captured_by_stripe_itself() -> None:
    assert fields(render(STRIPE, sw.SALE))["capture_method"] == "automatic"


def test_a_merchants_own_payment_is_off_session_and_sends_nobody_anywhere() -> None:
    found = fields(render(STRIPE, structs.replace(sw.AUTHORIZE, initiator="merchant")))
    assert found["off_session"] == "true"
    assert found["automatic_payment_methods[allow_redirects]"] == "never"
    assert "return_url" not in found


@pytest.mark.parametrize(
    ("use", "off_session"),
    [(Use.RECURRING, "recurring"), (Use.INSTALMENT, "recurring"), (Use.UNSCHEDULED, "one_off")],
)
def test_stripe_is_told_what_the_payer_agreed_to(use: Use, off_session: str) -> None:
    assert (
        fields(render(STRIPE, structs.replace(sw.AUTHORIZE, initiator="merchant", use=use)))["off_session"]
        == off_session
    )
    assert "off_session" not in fields(render(STRIPE, structs.replace(sw.AUTHORIZE, use=use)))


def test_without_an_address_to_return_to_an_authentication_is_a_decline() -> None:
    found = fields(render(STRIPE, structs.replace(sw.AUTHORIZE, return_url=None)))
    assert found["error_on_requires_action"] == "true"


def test_a_token_goes_with_its_customer_at_stripe() -> None:
    found = fields(render(STRIPE, structs.replace(sw.AUTHORIZE, psp_customer="cus_1")))
    assert found["customer"] == "cus_1"
    assert "customer" not in fields(render(STRIPE, sw.AUTHORIZE))


@pytest.mark.parametrize(
    ("descriptor", "suffix"),
    [
        ("EXAMPLE*PREMIUM", "PREMIUM"),
        ("Premium plan", "Premium plan"),
        ("<Premium> 'plan\"", "Premium plan"),
        ("A very long descriptor indeed", "A very long descriptor"),
        ("Größe", "Gre"),
        ("12345", None),
        ("EXAMPLE*", None),
        (None, None),
    ],
)
def test_a_descriptor_is_cut_to_what_stripe_takes(descriptor: str, suffix: str) -> None:
    command = structs.replace(sw.AUTHORIZE, statement_descriptor=descriptor)
    assert fields(render(STRIPE, command)).get("statement_descriptor_suffix") == suffix


def test_stripe_captures_voids_and_refunds() -> None:
    capture, void, refund = (render(STRIPE, c) for c in (sw.CAPTURE, sw.VOID, sw.REFUND))
    assert capture.path == "/v1/payment_intents/pi_1/capture"
    assert fields(capture) == {
        "amount_to_capture": "1000",
        "metadata[capture_reference]": "pay_1-2",
        "expand[]": "latest_charge",
    }
    assert void.path == "/v1/payment_intents/pi_1/cancel"
    assert fields(void) == {"cancellation_reason": "requested_by_customer"}
    assert refund.path == "/v1/refunds"
    assert fields(refund) == {
        "payment_intent": "pi_1",
        "amount": "1000",
        "metadata[reference]": "pay_1-4",
        "metadata[payment]": "pay_1",
    }
    assert [r.idempotency_key for r in (capture, void, refund)] == ["pay_1-2", "pay_1-3", "pay_1-4"]


def test_stripes_version_is_pinned_and_no_other_account_is_named() -> None:
    found = STRIPE.headers({"api_key": "sk_test_1"}, render(STRIPE, sw.AUTHORIZE))
    assert found == {
        "Authorization": "Bearer sk_test_1",
        "Stripe-Version": VERSION,
        "Idempotency-Key": "pay_1-1",
    }


def test_stripe_is_asked_by_id_where_it_is_known_and_by_reference_otherwise() -> None:
    ask = {operation: endpoint.build for operation, endpoint in STRIPE.inquiries.items()}
    by_id = ask[Operation.AUTHORIZE](sw.KNOWN)
    assert by_id == STRIPE.continuation.build(sw.KNOWN)
    assert urlsplit(by_id.path).path == "/v1/payment_intents/pi_1"
    searched = urlsplit(ask[Operation.AUTHORIZE](sw.AUTHORIZE).path)
    assert searched.path == "/v1/payment_intents/search"
    assert dict(parse_qsl(searched.query))["query"] == "metadata['reference']:'pay_1-1'"
    refund = structs.replace(sw.REFUND, psp_reference="re_1")
    assert ask[Operation.REFUND](refund).path == "/v1/refunds/re_1"
    listed = urlsplit(ask[Operation.REFUND](sw.REFUND).path)
    assert dict(parse_qsl(listed.query)) == {"payment_intent": "pi_1", "limit": "100"}
    for command in (sw.CAPTURE, sw.VOID):
        assert ask[command.operation](command).path == "/v1/payment_intents/pi_1"


def test_a_question_moves_no_money() -> None:
    for operation, endpoint in STRIPE.inquiries.items():
        command = structs.replace(sw.CAPTURE, operation=operation, psp_reference="x")
        request = endpoint.build(command)
        assert (request.method, request.body, request.idempotency_key) == ("GET", b"", None)


def test_a_quote_cannot_leave_the_search() -> None:
    command = structs.replace(sw.AUTHORIZE, reference="x' OR 'y")
    path = STRIPE.inquiries[Operation.AUTHORIZE].build(command).path
    query = dict(parse_qsl(urlsplit(path).query))["query"]
    assert query == "metadata['reference']:'x\\' OR \\'y'"


def test_an_abandoned_payment_is_ended_under_a_key_of_its_own() -> None:
    assert STRIPE.abandon is not None
    request = STRIPE.abandon.build(sw.KNOWN)
    assert request.path == "/v1/payment_intents/pi_1/cancel"
    assert fields(request) == {"cancellation_reason": "abandoned"}
    assert request.idempotency_key == "pay_1-1-abandon"
    for endpoint in (STRIPE.abandon, STRIPE.continuation):
        with pytest.raises(UnsupportedOperation):
            endpoint.build(sw.AUTHORIZE)


@pytest.mark.parametrize(
    ("key", "live", "usable"),
    [
        ("sk_test_1", False, True),
        ("rk_test_1", False, True),
        ("sk_live_1", True, True),
        ("rk_live_1", True, True),
        ("sk_live_1", False, False),
        ("sk_test_1", True, False),
        ("pk_test_1", False, False),
        ("whsec_1", False, False),
    ],
)
def test_stripes_keys_belong_to_one_mode(key: str, live: bool, usable: bool) -> None:
    assert (STRIPE.check_credentials({"api_key": key}, live) is None) is usable


def test_a_capture_at_stripe_is_always_the_last() -> None:
    assert not STRIPE.multi_capture
    assert not STRIPE.partial_void
