"""What Stripe tells by itself: events, what they mean, and forgeries of them."""

import hashlib
import hmac
from typing import Any

import msgspec

from scrooge.connectors.connector import Notification
from scrooge.domain.attempt import Operation, State
from scrooge.domain.outcome import Approved, Pending, ReversalKind, Reversed
from scrooge.money import Money

from .case import NOW, Headers, Notice, Story
from .stripe_words import (
    GONE,
    HELD,
    NO_FUNDS,
    POOR,
    SECRET,
    SOLD,
    TAKEN,
    charge,
    intent,
    refund,
)


def event(kind: str, about: Any, number: str = "evt_1") -> dict[str, Any]:
    return {"id": number, "object": "event", "type": kind, "data": {"object": about}}


def signed(document: Any, at: int) -> tuple[bytes, Headers]:
    raw = msgspec.json.encode(document)
    return raw, {"stripe-signature": f"t={at},v1={mac(raw, at)}"}


def mac(raw: bytes, at: int, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()


def news(kind: str, operation: Operation | None = None, outcome: Any = None, **more: Any) -> Any:
    return Notification(event_id="evt_1", kind=kind, operation=operation, outcome=outcome, **more)


BRIEF = Approved("pi_1", Money(1299, "EUR"), psp_token="pm_1")
ABOUT = {"reference": "pay_1-1", "psp_reference": "pi_1"}
OF_CAPTURE = {"psp_reference": "pi_1", "parent_psp_reference": "pi_1"}
OF_REFUND = {"reference": "pay_1-4", "psp_reference": "re_1", "parent_psp_reference": "pi_1"}
LAPSED_CHARGE = charge(payment_intent="pi_1", metadata={"reference": "pay_1-1"})
REFUNDED = Approved("re_1", Money(1000, "EUR"))


def notice(claim: str, kind: str, about: Any, *rest: Any, **more: Any) -> Notice:
    return Notice(claim, event(kind, about), news(kind, *rest, **more))


NOTICES = (
    notice("a hold", "payment_intent.amount_capturable_updated", {**HELD, "latest_charge": "ch_1"},
           Operation.AUTHORIZE, BRIEF, **ABOUT),
    notice("a sale", "payment_intent.succeeded", {**SOLD, "latest_charge": "ch_1"},
           Operation.AUTHORIZE, BRIEF, **ABOUT),
    notice("success after a capture by hand is the capture's", "payment_intent.succeeded", TAKEN,
           Operation.CAPTURE, Approved("pi_1", Money(1000, "EUR")), reference="pay_1-2", **OF_CAPTURE),
    notice("an increment is told by the hold's event, and names its own reference",
           "payment_intent.amount_capturable_updated",
           intent("requires_capture", amount=1799, amount_capturable=1799,
                  metadata={"reference": "pay_1-1", "increment_reference": "pay_1-5"}),
           Operation.INCREMENT, Approved("pi_1", Money(1799, "EUR")), reference="pay_1-5", **OF_CAPTURE),
    notice("nothing left to capture is told by others", "payment_intent.amount_capturable_updated",
           TAKEN, psp_reference="pi_1"),
    notice("a decline", "payment_intent.payment_failed",
           intent("requires_payment_method", last_payment_error=NO_FUNDS),
           Operation.AUTHORIZE, POOR, **ABOUT),
    notice("a card that takes its time", "payment_intent.processing", intent("processing"),
           Operation.AUTHORIZE, Pending("pi_1"), **ABOUT),
    notice("a void", "payment_intent.canceled", GONE, Operation.VOID, Approved("pi_1"), **OF_CAPTURE),
    notice("a lapse", "payment_intent.canceled", intent("canceled", cancellation_reason="automatic"),
           Operation.AUTHORIZE,
           Reversed("canceled at Stripe: automatic", ReversalKind.EXPIRED, "pi_1"), **ABOUT),
    notice("an abandoned payment", "payment_intent.canceled",
           intent("canceled", cancellation_reason="abandoned"), Operation.AUTHORIZE,
           Reversed("canceled at Stripe: abandoned", ReversalKind.EXPIRED, "pi_1"), **ABOUT),
    notice("a captured charge", "charge.captured",
           charge(payment_intent="pi_1", amount_captured=1000, currency="eur", metadata={}),
           Operation.CAPTURE, Approved("pi_1", Money(1000, "EUR")), **OF_CAPTURE),
    notice("an expired charge", "charge.expired", LAPSED_CHARGE, Operation.AUTHORIZE,
           Reversed("the authorization expired at Stripe", ReversalKind.EXPIRED, "pi_1"), **ABOUT),
    notice("a refund", "refund.created", refund("succeeded"), Operation.REFUND, REFUNDED, **OF_REFUND),
    notice("a refund that moves on", "refund.updated", refund("succeeded"), Operation.REFUND, REFUNDED,
           **OF_REFUND),
    notice("a refund that takes its time", "refund.created", refund("pending"), Operation.REFUND,
           Pending("re_1"), **OF_REFUND),
    notice("a refund that failed", "refund.failed", refund("failed", failure_reason="expired_card"),
           Operation.REFUND, Reversed("refund failed: expired_card", ReversalKind.FAILED, "re_1"),
           **OF_REFUND),
    notice("a refund made elsewhere names no payment of ours", "refund.created",
           refund("succeeded", metadata={}), Operation.REFUND, REFUNDED, psp_reference="re_1"),
    notice("a kind of news that we do not handle", "charge.dispute.created",
           {"id": "du_1", "object": "dispute"}, psp_reference="du_1"),
    Notice("whose account it was", {**event("payment_intent.created", HELD), "account": "acct_2"},
           news("payment_intent.created", psp_reference="pi_1", merchant_account="acct_2")),
)  # fmt: skip

STORIES = (
    Story(
        "a refund that succeeded, then failed",
        (
            event("refund.created", refund("pending"), "evt_1"),
            event("refund.updated", refund("succeeded"), "evt_2"),
            event("refund.failed", refund("failed"), "evt_3"),
        ),
        State.REVERSED,
    ),
    Story(
        "a hold that waited",
        (
            event("payment_intent.processing", intent("processing"), "evt_1"),
            event("payment_intent.amount_capturable_updated", HELD, "evt_2"),
        ),
        State.APPROVED,
    ),
)

GOOD = msgspec.json.encode(event("payment_intent.succeeded", SOLD))
FORGERIES: dict[str, tuple[bytes, Headers, int]] = {
    "no signature": (GOOD, {}, NOW),
    "an empty signature": (GOOD, {"stripe-signature": ""}, NOW),
    "a signature without a time": (GOOD, {"stripe-signature": f"v1={mac(GOOD, NOW)}"}, NOW),
    "only the old scheme": (GOOD, {"stripe-signature": f"t={NOW},v0={mac(GOOD, NOW)}"}, NOW),
    "another secret": (
        GOOD, {"stripe-signature": f"t={NOW},v1={mac(GOOD, NOW, 'whsec_other')}"}, NOW,
    ),
    "another body": (GOOD.replace(b"1299", b"9999"), signed(msgspec.json.decode(GOOD), NOW)[1], NOW),
    "another time": (GOOD, {"stripe-signature": f"t={NOW + 1},v1={mac(GOOD, NOW)}"}, NOW),
    "too old": (GOOD, {"stripe-signature": f"t={NOW},v1={mac(GOOD, NOW)}"}, NOW + 301),
    "from the future": (GOOD, {"stripe-signature": f"t={NOW},v1={mac(GOOD, NOW)}"}, NOW - 301),
    "a time that is no number": (GOOD, {"stripe-signature": f"t=x,v1={mac(GOOD, NOW)}"}, NOW),
    "letters beyond ASCII": (GOOD, {"stripe-signature": f"t={NOW},v1=\u00e9\udce9"}, NOW),
}  # fmt: skip
