"""Stripe's objects as JSON documents, as API version 2026-10-28 shows them."""

from typing import Any

from ..acquirer import uncaptured
from ..cards import DECLINES, brand_of, find_card
from ..currencies import to_units
from ..records import Authorization, Challenge, Token
from ..world import World
from .errors import decline_outcome
from .records import Charge, Customer, Endpoint, Intent, Refund

API_VERSION = "2026-10-28.endive"
Document = dict[str, Any]

_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
_BILLING = {"address": _NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
_CHARGE_NULLS: Document = dict.fromkeys(
    [
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "failure_balance_transaction",
        "on_behalf_of",
        "receipt_email",
        "receipt_number",
        "receipt_url",
        "review",
        "shipping",
        "source_transfer",
        "transfer_data",
        "transfer_group",
    ]
)
_APPROVED_OUTCOME = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 12,
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def intent_document(world: World, intent: Intent, expand: frozenset[str] = frozenset()) -> Document:
    """A PaymentIntent; `latest_charge` is an object when asked for."""
    auth = world.state.get(Authorization, intent.charge or "")
    live = auth if auth is not None and auth.state in ("approved", "expired") else None
    latest: str | Document | None = intent.charge
    if intent.charge and "latest_charge" in expand:
        latest = charge_document(world, world.state.need(Charge, intent.charge))
    facts = intent.facts.get
    capturable = uncaptured(live) if live and intent.status == "requires_capture" else 0
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": to_units("stripe", intent.currency, capturable),
        "amount_details": {"tip": {}},
        "amount_received": to_units("stripe", intent.currency, live.captured_minor) if live else 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.client_secret,
        "confirmation_method": intent.confirmation_method,
        "created": intent.created,
        "currency": intent.currency.lower(),
        "customer": facts("customer"),
        "description": facts("description"),
        "last_payment_error": intent.error,
        "latest_charge": latest,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": _next_action(world, intent),
        "on_behalf_of": None,
        "payment_method": intent.payment_method,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": intent.payment_method_types,
        "processing": None,
        "receipt_email": facts("receipt_email"),
        "review": None,
        "setup_future_usage": facts("setup_future_usage"),
        "shipping": None,
        "statement_descriptor": facts("statement_descriptor"),
        "statement_descriptor_suffix": facts("statement_descriptor_suffix"),
        "status": intent.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _next_action(world: World, intent: Intent) -> Document | None:
    """How the payer goes on; without a return_url Stripe leaves it to its own script."""
    challenge = world.state.get(Challenge, intent.challenge or "")
    if challenge is None or intent.status != "requires_action":
        return None
    url = f"{intent.origin}/acs/{challenge.id}"
    if not challenge.return_url:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url}
        return {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    redirect = {"return_url": challenge.return_url, "url": url}
    return {"type": "redirect_to_url", "redirect_to_url": redirect}


def charge_document(world: World, charge: Charge) -> Document:
    """A Charge; a released remainder shows as refunded, the way Stripe shows it."""
    auth = world.state.need(Authorization, charge.id)
    intent = world.state.need(Intent, charge.intent)
    units = lambda minor: to_units("stripe", auth.currency, minor)  # noqa: E731
    paid = auth.state in {"approved", "expired"}
    decline = DECLINES[charge.decline] if charge.decline else None
    given_back = auth.refunded_minor + auth.released_minor
    status = "succeeded" if paid else "failed" if decline else "pending"
    return _CHARGE_NULLS | {
        "id": charge.id,
        "object": "charge",
        "amount": intent.amount,
        "amount_captured": units(auth.captured_minor),
        "amount_refunded": units(given_back),
        "billing_details": _BILLING,
        "calculated_statement_descriptor": intent.facts.get("statement_descriptor"),
        "captured": auth.captured_minor > 0,
        "created": charge.created,
        "currency": intent.currency.lower(),
        "customer": intent.facts.get("customer"),
        "description": intent.facts.get("description"),
        "disputed": False,
        "failure_code": intent.error["code"] if decline and intent.error else None,
        "failure_message": intent.error["message"] if decline and intent.error else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent.metadata,
        "outcome": decline_outcome(decline) if decline else _APPROVED_OUTCOME if paid else None,
        "paid": paid,
        "payment_intent": intent.id,
        "payment_method": charge.payment_method,
        "payment_method_details": {"card": _card_details(auth, charge, intent.incremental), "type": "card"},
        "refunded": paid and given_back >= auth.minor,
        "statement_descriptor": intent.facts.get("statement_descriptor"),
        "statement_descriptor_suffix": intent.facts.get("statement_descriptor_suffix"),
        "status": status,
    }


def _card_details(auth: Authorization, charge: Charge, incremental: bool) -> Document:
    """`payment_method_details.card`: what the network said about the card."""
    return {
        "amount_authorized": to_units("stripe", auth.currency, auth.minor),
        "authorization_code": auth.network_transaction_id[-6:] or None,
        "brand": _brand(auth.number),
        "capture_before": None if auth.sale else charge.capture_before,
        "checks": _checks(charge.code_check),
        "country": "US",
        "exp_month": charge.month,
        "exp_year": charge.year,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": f"Sandbox{auth.number[-8:]}",
        "funding": "credit",
        "incremental_authorization": {"status": "available" if incremental else "unavailable"},
        "installments": None,
        "last4": auth.number[-4:],
        "mandate": None,
        "multicapture": {"status": "available"},
        "network": _brand(auth.number),
        "network_token": {"used": False},
        "network_transaction_id": auth.network_transaction_id or None,
        "overcapture": {
            "maximum_amount_capturable": to_units("stripe", auth.currency, auth.minor),
            "status": "unavailable",
        },
        "three_d_secure": _three_d_secure(charge),
        "wallet": None,
    }


def _three_d_secure(charge: Charge) -> Document | None:
    if not charge.authenticated:
        return None
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }


def _brand(number: str) -> str:
    card = find_card(number)
    return card.brand if card else brand_of(number)


def _checks(code_check: str) -> Document:
    return {
        "address_line1_check": None,
        "address_postal_code_check": None,
        "cvc_check": code_check or None,
    }


def refund_document(refund: Refund) -> Document:
    """A Refund; `failure_reason` only where there is one."""
    document = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": None,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency.lower(),
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if refund.failure_reason:
        document["failure_reason"] = refund.failure_reason
    return document


def method_document(method: Token) -> Document:
    """A PaymentMethod of type card."""
    brand = _brand(method.number)
    return {
        "id": method.id,
        "object": "payment_method",
        "billing_details": _BILLING,
        "card": {
            "brand": brand,
            "checks": _checks(method.code_check),
            "country": "US",
            "exp_month": method.month,
            "exp_year": method.year,
            "fingerprint": f"Sandbox{method.number[-8:]}",
            "funding": "credit",
            "generated_from": None,
            "last4": method.number[-4:],
            "networks": {"available": [brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": method.created,
        "customer": method.owner,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def customer_document(customer: Customer) -> Document:
    """A Customer, minimal."""
    return {
        "id": customer.id,
        "object": "customer",
        "created": customer.created,
        "description": customer.description,
        "email": customer.email,
        "livemode": False,
        "metadata": customer.metadata,
        "name": customer.name,
    }


def endpoint_document(endpoint: Endpoint) -> Document:
    """A webhook endpoint; its secret is shown once, by the call that creates it."""
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": False,
        "metadata": endpoint.metadata,
        "status": "enabled",
        "url": endpoint.url,
    }


def list_document(path: str, rows: list[Document], has_more: bool) -> Document:
    """A page of a list."""
    return {"object": "list", "data": rows, "has_more": has_more, "url": path}
