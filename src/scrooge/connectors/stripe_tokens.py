"""Payment methods that Stripe keeps for us. https://docs.stripe.com/api/payment_methods"""

from scrooge.connectors.connector import Adopt, CardSeen, Forget, Json, Kept, Look, Request
from scrooge.connectors.kit import Never, UnreadableReply, form, optional, segment, words

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


# --- a token of one payment becomes one of many ---------------------------------------------


def customer(kept: Kept, key: str) -> Request:
    pairs = [("metadata[customer]", kept.customer or "")]
    return Request("POST", "/v1/customers", form(pairs), FORM, key)


def made(status: int, document: Json) -> str | None:
    return str(document["id"]) if status < 400 and document["object"] == "customer" else None


def attach(kept: Kept, key: str) -> Request:
    """https://docs.stripe.com/api/payment_methods/attach"""
    path = f"/v1/payment_methods/{segment(kept.psp_token)}/attach"
    return Request("POST", path, form([("customer", kept.psp_customer or "")]), FORM, key)


def attached(status: int, document: Json) -> bool:
    """The issuer may decline it (402), and one that was used up stays so (400)."""
    if status < 400:
        return document["object"] == "payment_method" and document.get("customer") is not None
    error = document["error"]
    if status in {400, 402, 404} and error["type"] in {"invalid_request_error", "card_error"}:
        raise Never(f"{status}: {words(error.get('message'))}")
    return False


ADOPT = Adopt(customer, made, attach, attached)

# --- what is behind a token now -------------------------------------------------------------


def retrieve(kept: Kept) -> Request:
    return Request("GET", f"/v1/payment_methods/{segment(kept.psp_token)}")


def card_of(kept: Kept, status: int, document: Json) -> CardSeen | None:
    if status >= 400:
        if document["error"].get("code") == "resource_missing":
            return None
        raise UnreadableReply(f"HTTP {status}")
    if document["customer"] is None:
        return None  # Detached: it may not be used again.
    card = document["card"]
    return CardSeen(card["last4"], f"{card['exp_year']:04}-{card['exp_month']:02}", optional(card.get("brand")))


LOOK = Look(retrieve, card_of)
