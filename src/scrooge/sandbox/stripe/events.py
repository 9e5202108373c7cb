"""Stripe's events: recorded with the object as it was, and posted signed to who asked for them."""

import hashlib
import hmac
import time

import msgspec

from ..alarms import Posting
from ..records import Notice
from ..world import World, token
from .documents import API_VERSION, Document
from .records import Endpoint, Event, Who


def announce(world: World, who: Who, type_: str, document: Document) -> None:
    """Record an event and send it to every endpoint that takes it."""
    takers = [endpoint for endpoint in world.state.all(Endpoint) if _takes(endpoint, who, type_)]
    event = {
        "id": f"evt_{token()}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": document},
        "livemode": False,
        "pending_webhooks": len(takers),
        "request": {"id": None, "idempotency_key": who.idempotency_key},
        "type": type_,
    }
    if who.account != who.platform:
        event["account"] = who.account
    body = msgspec.json.encode(event)
    world.state.put(Event(id=event["id"], account=who.account, created=event["created"], type=type_, body=body))
    for endpoint in takers:
        world.notify("stripe", endpoint.id, body)


def _takes(endpoint: Endpoint, who: Who, type_: str) -> bool:
    """Its own account's events, or with `connect` those of accounts connected to it."""
    if not ("*" in endpoint.enabled_events or type_ in endpoint.enabled_events):
        return False
    if endpoint.connect:
        return endpoint.account == who.platform != who.account
    return endpoint.account == who.account


def post(world: World, notice: Notice) -> Posting | None:
    """Where this event goes, signed now (docs.stripe.com/webhooks/signature); None if no longer."""
    endpoint = world.state.get(Endpoint, notice.target)
    if endpoint is None:
        return None
    at = str(int(time.time()))
    signature = hmac.new(endpoint.secret.encode(), at.encode() + b"." + notice.body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={at},v1={signature}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    return Posting(endpoint.url, headers)
