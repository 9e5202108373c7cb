"""Adyen's standard notifications, signed item by item, posted to the merchant's webhooks."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..alarms import Posting
from ..cards import find_card
from ..records import Notice, Token
from ..world import World, short_reference
from .records import Payment, Webhook

_BRANDS = {"mastercard": "mc"}


def brand(number: str) -> str:
    """The scheme as Adyen names it."""
    card = find_card(number)
    assert card is not None, "a payment's number was checked when it was made"
    return _BRANDS.get(card.brand, card.brand)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What to tell: `original` is the payment's pspReference where this is a modification's news."""

    code: str
    psp_reference: str
    merchant_reference: str
    value: int
    success: bool = True
    original: str | None = None
    reason: str = ""
    operations: list[str] = []
    more: dict[str, str] = {}


def announce(world: World, payment: Payment, news: News) -> None:
    """Send this news to every active webhook of the payment's merchant account."""
    for webhook in world.state.all(Webhook):
        if webhook.active and webhook.merchant_account == payment.merchant_account:
            item = _item(payment, news, webhook.hmac_key)
            body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
            world.notify("adyen", webhook.id, msgspec.json.encode(body))


def announce_token(world: World, stored: Token, kind: str) -> None:
    """A token life cycle event. Adyen has webhooks of their own for these; here the standard ones get them too."""
    document = {
        "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "eventId": short_reference(),
        "environment": "test",
        "data": {
            "merchantAccount": stored.account,
            "storedPaymentMethodId": stored.id,
            "type": brand(stored.number),
            "shopperReference": stored.owner,
            **({} if kind == "disabled" else {"operation": kind}),
        },
        "type": f"recurring.token.{kind}",
    }
    for webhook in world.state.all(Webhook):
        if webhook.active and webhook.merchant_account == stored.account:
            world.notify("adyen", webhook.id, msgspec.json.encode(document))


def _item(payment: Payment, news: News, hmac_key: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {
        "amount": {"currency": payment.currency, "value": news.value},
        "eventCode": news.code,
        "eventDate": datetime.now(UTC).isoformat(timespec="seconds"),
        "merchantAccountCode": payment.merchant_account,
        "merchantReference": news.merchant_reference,
        "paymentMethod": brand(payment.number),
        "pspReference": news.psp_reference,
        "reason": news.reason,
        "success": "true" if news.success else "false",
    }
    if news.original is not None:
        item["originalReference"] = news.original
    if news.operations:
        item["operations"] = news.operations
    more = dict(news.more)
    if hmac_key:
        more["hmacSignature"] = sign(item, hmac_key)
    if more:
        item["additionalData"] = more
    return item


def sign(item: dict[str, Any], hmac_key: str) -> str:
    """Base64 HMAC-SHA256, key from hex, over eight fields joined by colons.

    Source: docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures.
    """
    signed = ":".join(
        [
            item["pspReference"],
            item.get("originalReference", ""),
            item["merchantAccountCode"],
            item["merchantReference"],
            str(item["amount"]["value"]),
            item["amount"]["currency"],
            item["eventCode"],
            item["success"],
        ]
    )
    mac = hmac.new(bytes.fromhex(hmac_key), signed.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def post(world: World, notice: Notice) -> Posting | None:
    """Where this notification goes, with Basic auth if configured; None if no longer anywhere."""
    webhook = world.state.get(Webhook, notice.target)
    if webhook is None or not webhook.active:
        return None
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Adyen HttpClient"}
    if webhook.hmac_key and "notificationItems" not in msgspec.json.decode(notice.body):
        mac = hmac.new(bytes.fromhex(webhook.hmac_key), notice.body, hashlib.sha256)  # of all of it, in a header
        headers |= {"HmacSignature": base64.b64encode(mac.digest()).decode(), "Protocol": "HmacSHA256"}
    if webhook.username is not None:
        pair = f"{webhook.username}:{webhook.password or ''}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return Posting(webhook.url, headers)
