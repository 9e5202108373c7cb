"""Stored payment methods that Adyen keeps for us. https://docs.adyen.com/online-payments/tokenization/managing-tokens"""

from scrooge.connectors.connector import Forget, Json, Kept, Request
from scrooge.connectors.kit import form, segment

GONE = frozenset({"800", "803"})  # the contract, or the payment detail, is not found


def end(kept: Kept) -> Request:
    query = form([("merchantAccount", kept.merchant_account), ("shopperReference", kept.psp_customer or "")])
    return Request("DELETE", f"/v72/storedPaymentMethods/{segment(kept.psp_token)}?{query.decode()}")


def ended(status: int, document: Json) -> bool:
    """A 404 is of the address, not of the token, so it is no answer."""
    return status < 300 or (status == 422 and str(document.get("errorCode")) in GONE)


FORGET = Forget(end, ended)
