"""Stripe's events: are they authentic, and which attempt do they tell about?

https://docs.stripe.com/webhooks

Captures and voids have no object of their own at Stripe: they are told from the authorization by
how the intent is captured, and by why it was canceled.
"""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec
from msgspec import structs

from scrooge.connectors.connector import Headers, Json, Notification
from scrooge.connectors.kit import optional, same
from scrooge.connectors.stripe_replies import (
    LAPSED,
    MARK,
    authorization,
    by_hand,
    canceled,
    increments,
    money,
    refund,
)
from scrooge.connectors.stripe_setups import verification
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, ReversalKind, Reversed

TOLERANCE = 300  # seconds, to both sides: the official library accepts any time in the future


def verify(raw: bytes, headers: Headers, credentials: Mapping[str, str], now: int) -> bool:
    """HMAC-SHA256 over the time and the bytes; several `v1` are a key being rotated."""
    secret = credentials.get("webhook_secret", "")
    parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    if not secret or not (at.isascii() and at.isdigit() and len(at) <= 12):
        return False
    if abs(now - int(at)) > TOLERANCE:
        return False
    mac = hmac.new(secret.encode(), at.encode() + b"." + raw, hashlib.sha256).hexdigest()
    matches = [same(mac, value) for name, _, value in parts if name == "v1"]
    return any(matches)


def notifications(raw: bytes) -> list[Notification]:
    """One event a request. Raises when it cannot be read, which leaves it in the inbox."""
    event = msgspec.json.decode(raw)
    found = event["data"]["object"]
    kind = event["type"]
    blank = Notification(event_id=event["id"], kind=kind, merchant_account=optional(event.get("account")))
    if kind in ABOUT_REFUNDS:
        return [of_refund(blank, found)]
    if kind in ABOUT_TOKENS:
        return [structs.replace(blank, psp_token=found["id"])]
    read = EVENTS.get(kind)
    return [read(blank, found) if read else structs.replace(blank, psp_reference=optional(found.get("id")))]


def note(found: Json, name: str) -> str | None:
    return optional((found.get("metadata") or {}).get(name))


def of_authorization(blank: Notification, intent: Json) -> Notification:
    return structs.replace(
        blank,
        operation=Operation.AUTHORIZE,
        outcome=authorization(intent),
        reference=note(intent, "reference"),
        psp_reference=intent["id"],
    )


def of_success(blank: Notification, intent: Json) -> Notification:
    """After a capture by hand it is that capture which succeeded."""
    if not by_hand(intent):
        return of_authorization(blank, intent)
    return of_capture(
        blank,
        intent["id"],
        note(intent, "capture_reference"),
        Approved(intent["id"], money(intent, "amount_received")),
    )


def of_capture(blank: Notification, intent: str, reference: str | None, outcome: Approved) -> Notification:
    return structs.replace(
        blank,
        operation=Operation.CAPTURE,
        outcome=outcome,
        reference=reference,
        psp_reference=intent,
        parent_psp_reference=intent,
    )


def of_capturable(blank: Notification, intent: Json) -> Notification:
    """The same event also comes when the amount falls to nothing, which others tell better."""
    if intent["status"] != "requires_capture":
        return structs.replace(blank, psp_reference=intent["id"])
    return of_increment(blank, intent) if increments(intent) else of_authorization(blank, intent)


def of_increment(blank: Notification, intent: Json) -> Notification:
    return structs.replace(
        blank,
        operation=Operation.INCREMENT,
        outcome=Approved(intent["id"], money(intent, "amount")),
        reference=note(intent, MARK),
        psp_reference=intent["id"],
        parent_psp_reference=intent["id"],
    )


def of_cancellation(blank: Notification, intent: Json) -> Notification:
    if intent.get("cancellation_reason") in LAPSED:
        return structs.replace(of_authorization(blank, intent), outcome=canceled(intent))
    return structs.replace(
        blank,
        operation=Operation.VOID,
        outcome=Approved(intent["id"]),
        psp_reference=intent["id"],
        parent_psp_reference=intent["id"],
    )


def of_captured_charge(blank: Notification, charge: Json) -> Notification:
    intent = charge["payment_intent"]
    taken = Approved(intent, money(charge, "amount_captured"))
    return of_capture(blank, intent, note(charge, "capture_reference"), taken)


def of_expired_charge(blank: Notification, charge: Json) -> Notification:
    intent = charge["payment_intent"]
    return structs.replace(
        blank,
        operation=Operation.AUTHORIZE,
        outcome=Reversed("the authorization expired at Stripe", ReversalKind.EXPIRED, intent),
        reference=note(charge, "reference"),
        psp_reference=intent,
    )


def of_refund(blank: Notification, found: Json) -> Notification:
    """A refund without our reference was made elsewhere.

    Its payment is not named, so that it cannot be mistaken for a refund of ours that is open.
    """
    reference = note(found, "reference")
    return structs.replace(
        blank,
        operation=Operation.REFUND,
        outcome=refund(found),
        reference=reference,
        psp_reference=found["id"],
        parent_psp_reference=optional(found.get("payment_intent")) if reference else None,
    )


def of_verification(blank: Notification, setup: Json) -> Notification:
    return structs.replace(
        blank,
        operation=Operation.VERIFY,
        outcome=verification(setup),
        reference=note(setup, "reference"),
        psp_reference=setup["id"],
    )


EVENTS = {
    "setup_intent.succeeded": of_verification,
    "setup_intent.setup_failed": of_verification,
    "setup_intent.canceled": of_verification,
    "payment_intent.succeeded": of_success,
    "payment_intent.amount_capturable_updated": of_capturable,
    "payment_intent.payment_failed": of_authorization,
    "payment_intent.canceled": of_cancellation,
    "payment_intent.processing": of_authorization,
    "charge.captured": of_captured_charge,
    "charge.expired": of_expired_charge,
}
ABOUT_REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
# The card behind a payment method has another expiry or number, or the payment method is nobody's any more.
# https://docs.stripe.com/payments/cards/overview#automatic-card-updates
ABOUT_TOKENS = frozenset({
    "payment_method.automatically_updated", "payment_method.updated", "payment_method.detached",
})  # fmt: skip
