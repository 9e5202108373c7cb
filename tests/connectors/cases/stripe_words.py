"""Stripe's words. The shapes follow its API reference, with only the fields that matter."""

from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Command
from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import ActionRequired, Approved, Declined, NextAction
from scrooge.money import Money

SECRET = "whsec_b5Rkq0fYxFt2"
CREDENTIALS = {"api_key": "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "webhook_secret": SECRET}

AUTHORIZE = Command(
    operation=Operation.AUTHORIZE,
    amount=Money(1299, "EUR"),
    reference="pay_1-1",
    payment="pay_1",
    merchant_account="acct_1",
    psp_token="pm_card_visa",
    customer="user-8123",
    return_url="https://shop.example/return/ret_1",
)
SALE = structs.replace(AUTHORIZE, sale=True)
KNOWN = structs.replace(AUTHORIZE, psp_reference="pi_1")
CAPTURE = structs.replace(
    AUTHORIZE,
    operation=Operation.CAPTURE,
    amount=Money(1000, "EUR"),
    reference="pay_1-2",
    parent_psp_reference="pi_1",
    psp_token=None,
)
VOID = structs.replace(CAPTURE, operation=Operation.VOID, amount=Money(1299, "EUR"), reference="pay_1-3")
REFUND = structs.replace(CAPTURE, operation=Operation.REFUND, reference="pay_1-4")

CARD = {
    "checks": {"cvc_check": "pass", "address_line1_check": None, "address_postal_code_check": "fail"},
    "three_d_secure": {"result": "authenticated"},
    "network_transaction_id": "736000000000017",
    "capture_before": 1_790_600_000,
    "fingerprint": "AOB934RVNwzk6xtn",
}
CARD_FINGERPRINT = "b01c8f1c419b7b04c8346e7072dedd37"  # the half of its SHA-256
CHECKS = {"cvc": "pass", "avs_postal_code": "fail", "three_d_secure": "authenticated"}
APPROVED = Approved(
    "pi_1",
    Money(1299, "EUR"),
    network_transaction_id="736000000000017",
    psp_token="pm_1",
    checks=CHECKS,
    expires_at=1_790_600_000,
    card_fingerprint=CARD_FINGERPRINT,
)


def intent(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 1299,
        "amount_capturable": 0,
        "amount_received": 0,
        "currency": "eur",
        "capture_method": "manual",
        "payment_method": "pm_1",
        "cancellation_reason": None,
        "last_payment_error": None,
        "next_action": None,
        "latest_charge": None,
        "metadata": {"reference": "pay_1-1", "payment": "pay_1"},
        **fields,
    }


def charge(**fields: Any) -> dict[str, Any]:
    found = {"id": "ch_1", "object": "charge", "payment_method_details": {"card": CARD}}
    return {**found, **fields}


def refund(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "re_1",
        "object": "refund",
        "status": status,
        "amount": 1000,
        "currency": "eur",
        "payment_intent": "pi_1",
        "metadata": {"reference": "pay_1-4", "payment": "pay_1"},
        **fields,
    }


def error(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "Why.", **fields}}


HELD = intent("requires_capture", amount_capturable=1299, latest_charge=charge())
SOLD = intent("succeeded", amount_received=1299, capture_method="automatic", latest_charge=charge())
TAKEN = intent(
    "succeeded",
    amount_received=1000,
    metadata={"reference": "pay_1-1", "capture_reference": "pay_1-2"},
)
GONE = intent("canceled", cancellation_reason="requested_by_customer")
STEP = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://hooks.stripe.com/3ds"}}
WAITING = intent("requires_action", next_action=STEP)
CHALLENGE = ActionRequired(NextAction("https://hooks.stripe.com/3ds"), "pi_1")
NO_FUNDS = {
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "message": "Your card has insufficient funds.",
    "network_decline_code": "51",
    "network_advice_code": "24",
}
POOR = Declined(
    Decline.INSUFFICIENT_FUNDS,
    "insufficient_funds",
    "Your card has insufficient funds.",
    "51",
    "24",
    "pi_1",
)
