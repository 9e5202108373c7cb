"""What the provider tells by itself: signed like webhooks are, with the time in the signature."""

import hashlib
import hmac
import time

import msgspec

from ..alarms import Posting
from ..records import Notice
from ..world import World, token
from .records import NetworkToken, Receiver


def announce(world: World, t: NetworkToken, kind: str) -> None:
    """Only that there is news, and about which token: what is so now, the provider is asked."""
    document = {
        "id": f"ntf_{token()}",
        "type": f"network_token.{kind}",
        "created": int(time.time()),
        "data": {"id": t.id, "reference": t.reference},
    }
    for receiver in world.state.all(Receiver):
        if receiver.account == t.account:
            world.notify("tsp", receiver.id, msgspec.json.encode(document))


def post(world: World, notice: Notice) -> Posting | None:
    receiver = world.state.get(Receiver, notice.target)
    if receiver is None:
        return None
    at = str(int(time.time()))
    mac = hmac.new(receiver.secret.encode(), at.encode() + b"." + notice.body, hashlib.sha256).hexdigest()
    return Posting(receiver.url, {"Content-Type": "application/json", "Tsp-Signature": f"t={at},v1={mac}"})
