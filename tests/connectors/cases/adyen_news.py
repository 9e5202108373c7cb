"""What Adyen tells by itself: notifications, what they mean, and forgeries of them."""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from scrooge.connectors.connector import Notification
from scrooge.domain.attempt import Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined, Rejected, ReversalKind, Reversed, Unknown
from scrooge.money import Money

from .adyen_words import ALIAS, HMAC_KEY, amount
from .case import NOW, Headers, Notice, Story

SIGNED = "pspReference originalReference merchantAccountCode merchantReference"


def item(kind: str, psp_reference: str, reference: str, **fields: Any) -> dict[str, Any]:
    return {
        "amount": amount(),
        "eventCode": kind,
        "eventDate": "2026-09-21T12:53:20+02:00",
        "merchantAccountCode": "ExampleEU",
        "merchantReference": reference,
        "paymentMethod": "visa",
        "pspReference": psp_reference,
        "reason": "",
        "success": "true",
        **fields,
    }


def batch(*items: dict[str, Any]) -> dict[str, Any]:
    return {"live": "false", "notificationItems": [{"NotificationRequestItem": i} for i in items]}


def signature(of: dict[str, Any]) -> str:
    """Written from Adyen's description, apart from the connector's own."""
    parts = [of.get(name, "") for name in SIGNED.split()]
    parts += [str(of["amount"]["value"]), of["amount"]["currency"], of["eventCode"], of["success"]]
    mac = hmac.new(bytes.fromhex(HMAC_KEY), ":".join(parts).encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def signed(document: Any, at: int) -> tuple[bytes, Headers]:
    """There is no time in it: `at` changes nothing."""
    items = [entry["NotificationRequestItem"] for entry in document["notificationItems"]]
    whole = [{**i, "additionalData": {**i.get("additionalData", {}), "hmacSignature": signature(i)}} for i in items]
    return msgspec.json.encode(batch(*whole)), {}


AUTHORIZED = item("AUTHORISATION", "AUTH1", "pay_1-1", reason="033899:1111:03/2030")
OF_CAPTURE = {"originalReference": "AUTH1", "amount": amount(1000)}
CAPTURED = item("CAPTURE", "CAP1", "pay_1-2", **OF_CAPTURE)
CAPTURE_FAILED = item("CAPTURE_FAILED", "CAP1", "pay_1-2", reason="Capture Failed", **OF_CAPTURE)
REFUNDED = item("REFUND", "REF1", "pay_1-4", **OF_CAPTURE)
REFUND_FAILED = item("REFUND_FAILED", "REF1", "pay_1-4", reason="Refund Failed", **OF_CAPTURE)
RETURNED = item("REFUNDED_REVERSED", "REF1", "pay_1-4", **OF_CAPTURE)
CHILD = {"parent_psp_reference": "AUTH1", "merchant_account": "ExampleEU"}
PARENT = {"reference": "pay_1-1", "psp_reference": "AUTH1", "merchant_account": "ExampleEU"}
TEN = Money(1000, "EUR")


def notice(claim: str, about: dict[str, Any], operation: Operation | None, outcome: Any, **more: Any) -> Notice:
    kind, success = about["eventCode"], about["success"]
    event_id = f"{about['pspReference']}:{kind}:{success}"
    expected = Notification(event_id=event_id, kind=kind, operation=operation, outcome=outcome, **more)
    return Notice(claim, batch(about), expected)


def no(about: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**about, "success": "false", "reason": reason}


NOTICES = (
    notice("an approval", AUTHORIZED, Operation.AUTHORIZE,
           Approved("AUTH1", Money(1299, "EUR")), **PARENT),
    notice("an approval with the facts of later payments",
           {**AUTHORIZED, "additionalData": {
               "networkTxReference": "MCC123456789012", "alias": "H167852639363479", "aliasType": "Default",
               "tokenization.storedPaymentMethodId": "M5N7TQ4TG5PFWR50"}},
           Operation.AUTHORIZE,
           Approved("AUTH1", Money(1299, "EUR"), network_transaction_id="MCC123456789012",
                    psp_token="M5N7TQ4TG5PFWR50", card_fingerprint=ALIAS), **PARENT),
    notice("an approval in hundredths of a peso", {**AUTHORIZED, "amount": amount(129900, "CLP")},
           Operation.AUTHORIZE, Approved("AUTH1", Money(1299, "CLP")), **PARENT),
    notice("a decline in words",
           {**no(AUTHORIZED, "Not enough balance"), "additionalData": {
               "refusalReasonRaw": "51 : Insufficient funds", "merchantAdviceCode": "24: Retry"}},
           Operation.AUTHORIZE,
           Declined(Decline.INSUFFICIENT_FUNDS, "12", "Not enough balance", "51", "24", "AUTH1"),
           **PARENT),
    notice("a decline in new words", no(AUTHORIZED, "Bad mood"), Operation.AUTHORIZE,
           Declined(Decline.UNMAPPED, "Bad mood", "Bad mood", psp_reference="AUTH1"), **PARENT),
    notice("a lapse", item("EXPIRE", "EXP1", "pay_1-1", originalReference="AUTH1"),
           Operation.AUTHORIZE,
           Reversed("the authorization expired at Adyen", ReversalKind.EXPIRED, "AUTH1"), **PARENT),
    notice("a lapse named by the payment itself", item("EXPIRE", "AUTH1", "pay_1-1"),
           Operation.AUTHORIZE,
           Reversed("the authorization expired at Adyen", ReversalKind.EXPIRED, "AUTH1"), **PARENT),
    notice("a cancellation by reference",
           item("TECHNICAL_CANCEL", "CAN9", "pay_1-1", originalReference="AUTH1"),
           Operation.AUTHORIZE,
           Reversed("canceled at Adyen by reference", ReversalKind.CANCELED, "AUTH1"), **PARENT),
    notice("a cancellation by reference that found nothing",
           no(item("TECHNICAL_CANCEL", "CAN9", "pay_1-1"), "Transaction not found"),
           Operation.AUTHORIZE, Rejected("Adyen has no such payment: Transaction not found"),
           **{**PARENT, "psp_reference": "CAN9"}, doubtful=True),
    notice("a cancellation by reference that is not explained",
           no(item("TECHNICAL_CANCEL", "CAN9", "pay_1-1"), "Cannot be done"),
           Operation.AUTHORIZE, Unknown("not canceled: Cannot be done"),
           **{**PARENT, "psp_reference": "CAN9"}, doubtful=True),
    notice("a cancellation by reference of what cannot be canceled",
           no(item("TECHNICAL_CANCEL", "CAN9", "pay_1-1", originalReference="AUTH1"), "Original payment not found"),
           Operation.AUTHORIZE, Unknown("not canceled: Original payment not found", "AUTH1"), **PARENT, doubtful=True),
    notice("a reversal", item("CANCEL_OR_REFUND", "REV9", "pay_1-1", originalReference="AUTH1", reason="ok"),
           Operation.AUTHORIZE, Reversed("reversed at Adyen: ok", ReversalKind.FAILED, "AUTH1"), **PARENT),
    notice("a reversal of what stands no more",
           no(item("CANCEL_OR_REFUND", "REV9", "pay_1-1", originalReference="AUTH1"), "It has already been cancelled"),
           Operation.AUTHORIZE, Reversed("reversed at Adyen: It has already been cancelled", ReversalKind.FAILED, "AUTH1"),
           **PARENT, doubtful=True),
    notice("a reversal that is not explained",
           no(item("CANCEL_OR_REFUND", "REV9", "pay_1-1", originalReference="AUTH1"), "Cannot be done"),
           Operation.AUTHORIZE, Unknown("not reversed: Cannot be done"), **PARENT, doubtful=True),
    notice("a capture", CAPTURED, Operation.CAPTURE, Approved("CAP1", TEN), reference="pay_1-2",
           psp_reference="CAP1", **CHILD),
    notice("a capture refused", no(CAPTURED, "Insufficient balance on payment"), Operation.CAPTURE,
           Rejected("Insufficient balance on payment", "CAP1"), reference="pay_1-2",
           psp_reference="CAP1", **CHILD),
    notice("a capture that failed later", CAPTURE_FAILED, Operation.CAPTURE,
           Reversed("CAPTURE_FAILED: Capture Failed", ReversalKind.FAILED, "CAP1"),
           reference="pay_1-2", psp_reference="CAP1", **CHILD),
    notice("a void", item("CANCELLATION", "CAN1", "pay_1-3", originalReference="AUTH1"),
           Operation.VOID, Approved("CAN1"), reference="pay_1-3", psp_reference="CAN1", **CHILD),
    notice("a void refused",
           no(item("CANCELLATION", "CAN1", "pay_1-3", originalReference="AUTH1"), "Already captured"),
           Operation.VOID, Rejected("Already captured", "CAN1"), reference="pay_1-3",
           psp_reference="CAN1", **CHILD),
    notice("a refund", REFUNDED, Operation.REFUND, Approved("REF1", TEN), reference="pay_1-4",
           psp_reference="REF1", **CHILD),
    notice("a refund refused", no(REFUNDED, "Transaction hasn't been captured"), Operation.REFUND,
           Rejected("Transaction hasn't been captured", "REF1"), reference="pay_1-4",
           psp_reference="REF1", **CHILD),
    notice("a refund that failed later", REFUND_FAILED, Operation.REFUND,
           Reversed("REFUND_FAILED: Refund Failed", ReversalKind.FAILED, "REF1"),
           reference="pay_1-4", psp_reference="REF1", **CHILD),
    notice("a refund that came back", RETURNED, Operation.REFUND,
           Reversed("REFUNDED_REVERSED: no reason given", ReversalKind.FAILED, "REF1"),
           reference="pay_1-4", psp_reference="REF1", **CHILD),
    notice("an increment is told as the whole",
           item("AUTHORISATION_ADJUSTMENT", "ADJ1", "pay_1-5", originalReference="AUTH1", amount=amount(1799)),
           Operation.INCREMENT, Approved("ADJ1", Money(1799, "EUR")), reference="pay_1-5", psp_reference="ADJ1", **CHILD),
    notice("an increment refused",
           no(item("AUTHORISATION_ADJUSTMENT", "ADJ1", "pay_1-5", originalReference="AUTH1"), "Not enough balance"),
           Operation.INCREMENT, Declined(Decline.INSUFFICIENT_FUNDS, "12", "Not enough balance", psp_reference="ADJ1"),
           reference="pay_1-5", psp_reference="ADJ1", **CHILD),
    notice("an offer closed may still be paid", item("OFFER_CLOSED", "OFF1", "pay_1-1"), None, None,
           reference="pay_1-1", psp_reference="OFF1", merchant_account="ExampleEU"),
    notice("a kind of news that we do not handle",
           item("CHARGEBACK", "CHB1", "pay_1-1", originalReference="AUTH1"), None, None,
           reference="pay_1-1", psp_reference="CHB1", **CHILD),
)  # fmt: skip

STORIES = (
    Story("a capture that failed later", (batch(CAPTURED), batch(CAPTURE_FAILED)), State.REVERSED),
    Story(
        "a refund that failed and came back",
        (batch(REFUNDED), batch(REFUND_FAILED), batch(RETURNED)),
        State.REVERSED,
    ),
    Story(
        "an approval that is older than its reversal",
        (batch(item("CANCEL_OR_REFUND", "REV9", "pay_1-1", originalReference="AUTH1")), batch(AUTHORIZED)),
        State.REVERSED,
    ),
    Story("an approval told twice", (batch(AUTHORIZED), batch(AUTHORIZED)), State.APPROVED),
)

GOOD, _ = signed(batch(AUTHORIZED), NOW)
TWO, _ = signed(batch(AUTHORIZED, CAPTURED), NOW)
FORGERIES: dict[str, tuple[bytes, Headers, int]] = {
    "nothing": (b"", {}, NOW),
    "no JSON": (b"<xml/>", {}, NOW),
    "no items": (msgspec.json.encode(batch()), {}, NOW),
    "items of another shape": (b'{"notificationItems": [{"x": 1}]}', {}, NOW),
    "a list": (b"[]", {}, NOW),
    "no signature": (msgspec.json.encode(batch(AUTHORIZED)), {}, NOW),
    "a signature that is no text": (
        msgspec.json.encode(batch({**AUTHORIZED, "additionalData": {"hmacSignature": 7}})), {}, NOW,
    ),
    "another amount": (GOOD.replace(b"1299", b"9999"), {}, NOW),
    "a refusal turned into success": (
        signed(batch(no(AUTHORIZED, "")), NOW)[0].replace(b'"false","add', b'"true","add'), {}, NOW,
    ),
    "a forged second item": (TWO.replace(b'"value":1000', b'"value":9999'), {}, NOW),
    "a forged first item": (TWO.replace(b'"value":1299', b'"value":9999'), {}, NOW),
    "success as a JSON boolean": (GOOD.replace(b'"success":"true"', b'"success":true'), {}, NOW),
    "letters that no encoding has": (GOOD.replace(b"ExampleEU", b"\\ud800"), {}, NOW),
}  # fmt: skip
