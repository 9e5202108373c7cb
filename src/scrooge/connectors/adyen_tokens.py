"""Stored payment methods that Adyen keeps for us. https://docs.adyen.com/online-payments/tokenization/managing-tokens"""

from scrooge.connectors.connector import CardSeen, Forget, Json, Kept, Look, Request
from scrooge.connectors.kit import UnreadableReply, form, optional, segment

BRANDS = {"mc": "mastercard"}
GONE = frozenset({"800", "803"})  # the contract, or the payment detail, is not found


def end(kept: Kept) -> Request:
    query = form([("merchantAccount", kept.merchant_account), ("shopperReference", kept.psp_customer or "")])
    return Request("DELETE", f"/v72/storedPaymentMethods/{segment(kept.psp_token)}?{query.decode()}")


def ended(status: int, document: Json) -> bool:
    """A 404 is of the address, not of the token, so it is no answer."""
    return status < 300 or (status == 422 and str(document.get("errorCode")) in GONE)


FORGET = Forget(end, ended)


def stored(kept: Kept) -> Request:
    """Adyen shows all tokens of a shopper, or none."""
    query = form([("merchantAccount", kept.merchant_account), ("shopperReference", kept.psp_customer or "")])
    return Request("GET", f"/v72/storedPaymentMethods?{query.decode()}")


def card_of(kept: Kept, status: int, document: Json) -> CardSeen | None:
    if status >= 400:
        raise UnreadableReply(f"HTTP {status}")
    for found in document["storedPaymentMethods"]:
        if found["id"] == kept.psp_token:
            exp = f"{int(found['expiryYear']):04}-{int(found['expiryMonth']):02}"
            brand = optional(found.get("brand"))
            return CardSeen(found["lastFour"], exp, BRANDS.get(brand or "", brand))
    return None


LOOK = Look(stored, card_of)
