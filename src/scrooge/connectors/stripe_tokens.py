"""Payment methods that Stripe keeps for us. https://docs.stripe.com/api/payment_methods"""

from scrooge.connectors.connector import Forget, Json, Kept, Request
from scrooge.connectors.kit import UnreadableReply, segment, words

FORM = "application/x-www-form-urlencoded"


def detach(kept: Kept) -> Request:
    """Without a key, under which Stripe would repeat an error that has passed."""
    return Request("POST", f"/v1/payment_methods/{segment(kept.psp_token)}/detach", content_type=FORM)


def detached(status: int, document: Json) -> bool:
    """What belongs to nobody cannot be used again, which is what we want. Stripe has no code for that, only words."""
    if status < 400:
        if document["object"] != "payment_method":
            raise UnreadableReply(f"object {document['object']}")
        return document.get("customer") is None
    error = document["error"]
    missing = error.get("code") == "resource_missing"
    return missing or (status == 400 and "not attached to a customer" in words(error.get("message")))


FORGET = Forget(detach, detached)
