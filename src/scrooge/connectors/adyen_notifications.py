"""Adyen's standard webhooks: are they authentic, and which attempt do they tell about?
https://docs.adyen.com/development-resources/webhooks
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

import msgspec

from scrooge.connectors.adyen_replies import card_alias, declined, money, stored
from scrooge.connectors.connector import Headers, Json, Notification
from scrooge.connectors.kit import optional, same, words
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Outcome, Rejected, ReversalKind, Reversed, Unknown

# A cancellation or refund that was not done because the money is back already. Adyen has words for it, and no code.
NOT_THERE = re.compile(r"not found", re.IGNORECASE)
ALREADY = re.compile(r"already.*(cancel|refund|revers)", re.IGNORECASE)
SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")

# --- authenticity ---------------------------------------------------------------------------


def verify(raw: bytes, headers: Headers, credentials: Mapping[str, str], now: int) -> bool:
    """Every item of the batch is signed by itself; one forged item refuses them all. News of tokens is signed whole.

    There is no time in the signature: a replayed notification is one more duplicate.
    """
    key = credentials.get("hmac_key", "")
    if "hmacsignature" in headers:
        key = credentials.get("token_hmac_key", "") or key
    if not key or not basic(headers, credentials):
        return False
    try:
        if "hmacsignature" in headers:
            mac = hmac.new(bytes.fromhex(key), raw, hashlib.sha256)
            return same(base64.b64encode(mac.digest()).decode(), headers["hmacsignature"])
        items = items_of(raw)
        return bool(items) and all(authentic(item, bytes.fromhex(key)) for item in items)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError):
        return False  # What has no items as Adyen builds them is not from Adyen.


def basic(headers: Headers, credentials: Mapping[str, str]) -> bool:
    """Only where a user is configured. https://docs.adyen.com/development-resources/webhooks/security"""
    user = credentials.get("notification_user", "")
    if not user:
        return True
    pair = f"{user}:{credentials.get('notification_password', '')}"
    expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return same(expected, headers.get("authorization", ""))


def authentic(item: Json, key: bytes) -> bool:
    mac = hmac.new(key, signed_text(item).encode(), hashlib.sha256)
    expected = base64.b64encode(mac.digest()).decode()
    return same(expected, item["additionalData"]["hmacSignature"])


def signed_text(item: Json) -> str:
    fields = [item.get(name) or "" for name in SIGNED]
    amount = item["amount"]
    fields += [amount["value"], amount["currency"], item["eventCode"], item["success"]]
    return ":".join(str(field) for field in fields)


def items_of(raw: bytes) -> list[Json]:
    document = msgspec.json.decode(raw)
    return [entry["NotificationRequestItem"] for entry in document["notificationItems"]]


# --- meaning --------------------------------------------------------------------------------


def why(item: Json) -> str:
    return words(item.get("reason")) or "no reason given"


def taken(item: Json) -> Outcome:
    return Approved(item["pspReference"], money(item["amount"]))


def authorized(item: Json) -> Outcome:
    extra = item.get("additionalData") or {}
    token, shopper = stored(extra)
    return Approved(
        item["pspReference"],
        money(item["amount"]),
        network_transaction_id=optional(extra.get("networkTxReference")),
        psp_token=token,
        psp_customer=shopper,
        card_fingerprint=card_alias(extra),
    )


def unauthorized(item: Json) -> Outcome:
    return declined(item, why(item))


def released(item: Json) -> Outcome:
    """The amount of a cancellation is the authorization's, whatever was left of it."""
    return Approved(item["pspReference"])


def not_done(item: Json) -> Outcome:
    return Rejected(why(item), item["pspReference"], ALREADY.search(why(item)) is not None)


def undone(item: Json) -> Outcome:
    return Reversed(f"{item['eventCode']}: {why(item)}", ReversalKind.FAILED, item["pspReference"])


def expired(item: Json) -> Outcome:
    reference = item.get("originalReference") or item["pspReference"]
    return Reversed("the authorization expired at Adyen", ReversalKind.EXPIRED, reference)


def canceled(item: Json) -> Outcome:
    reference = item.get("originalReference")
    return Reversed("canceled at Adyen by reference", ReversalKind.CANCELED, reference)


def not_canceled(item: Json) -> Outcome:
    """There was nothing to cancel: no such payment, or one that was captured, refused, or waits for its payer.

    Which of these it does not say reliably; but it may name the payment, which can be reversed then.
    """
    named = optional(item.get("originalReference"))
    if named is None and NOT_THERE.search(why(item)):
        return Rejected(f"Adyen has no such payment: {why(item)}")
    return Unknown(f"not canceled: {why(item)}", named)


def not_reversed(item: Json) -> Outcome:
    """Neither canceled nor refunded. That it stands no more is the only reason from which something follows."""
    if ALREADY.search(why(item)):
        return reversed_whole(item)
    return Unknown(f"not reversed: {why(item)}")


def reversed_whole(item: Json) -> Outcome:
    """Of this very payment, by Adyen's name: what is heard of its approval later is older."""
    return Reversed(f"reversed at Adyen: {why(item)}", ReversalKind.FAILED, optional(item.get("originalReference")))


# eventCode -> the operation, what it means when `success` is true, and when it is false.
# OFFER_CLOSED is not here: a payer who is late may still be authorized after it.
Meaning = Callable[[Json], Outcome] | None
EVENTS: dict[str, tuple[Operation, Meaning, Meaning]] = {
    "AUTHORISATION": (Operation.AUTHORIZE, authorized, unauthorized),
    "EXPIRE": (Operation.AUTHORIZE, expired, None),
    "TECHNICAL_CANCEL": (Operation.AUTHORIZE, canceled, not_canceled),
    "CANCEL_OR_REFUND": (Operation.AUTHORIZE, reversed_whole, not_reversed),
    "AUTHORISATION_ADJUSTMENT": (Operation.INCREMENT, taken, unauthorized),
    "CAPTURE": (Operation.CAPTURE, taken, not_done),
    "CAPTURE_FAILED": (Operation.CAPTURE, undone, None),
    "CANCELLATION": (Operation.VOID, released, not_done),
    "REFUND": (Operation.REFUND, taken, not_done),
    "REFUND_FAILED": (Operation.REFUND, undone, None),
    "REFUNDED_REVERSED": (Operation.REFUND, undone, None),
}


def notifications(raw: bytes) -> list[Notification]:
    """Raises when it cannot be read, which leaves it in the inbox."""
    document = msgspec.json.decode(raw)
    if str(document.get("type")).startswith("recurring.token."):
        return [of_token(document)]
    return [notification(item) for item in items_of(raw)]


def of_token(document: Json) -> Notification:
    """https://docs.adyen.com/api-explorer/Tokenization-webhooks/1/overview"""
    found, kind, event = document["data"], document["type"], document["eventId"]
    return Notification(
        event_id=f"{event}:{kind}:{found['storedPaymentMethodId']}:{document['createdAt']}",
        kind=kind,
        psp_reference=event,
        merchant_account=optional(found.get("merchantAccount")),
        psp_token=found["storedPaymentMethodId"],
        psp_customer=optional(found.get("shopperReference")),
    )


def notification(item: Json) -> Notification:
    """An authorization is named by its own reference, even where the event has one of its own."""
    kind, success, psp_reference = item["eventCode"], item["success"], item["pspReference"]
    operation, yes, no = EVENTS.get(kind, (None, None, None))
    meaning = yes if success == "true" else no
    parent = optional(item.get("originalReference"))
    if operation is Operation.AUTHORIZE:
        psp_reference, parent = parent or psp_reference, None
    return Notification(
        event_id=f"{item['pspReference']}:{kind}:{success}",
        kind=kind,
        operation=operation,
        outcome=meaning(item) if meaning else None,
        reference=optional(item.get("merchantReference")),
        psp_reference=psp_reference,
        parent_psp_reference=parent,
        merchant_account=optional(item.get("merchantAccountCode")),
        doubtful=meaning in {not_canceled, not_reversed},
    )
