"""Adyen's service errors and its words for an issuer's refusals."""

import msgspec

from ..cards import Decline
from ..wire import Reply
from ..world import short_reference


class Refused(Exception):
    """A request that ends in a service error; never stored under an idempotency key."""

    def __init__(self, status: int, code: str, message: str, kind: str = "validation", **headers: str) -> None:
        super().__init__(message)
        document = {
            "status": status,
            "errorCode": code,
            "message": message,
            "errorType": kind,
            "pspReference": short_reference(),
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply = Reply(status, msgspec.json.encode(document), named, keep=False)


def missing(field: str) -> Refused:
    """A field that has to be there is not."""
    codes = {
        "reference": "130",
        "paymentMethod": "14_006",
        "amount": "100",
        "details": "14_002",
        "returnUrl": "14_030",
    }
    message = f"Required field '{field}' is not provided."
    if field == "returnUrl":
        message = "Return URL is missing."
    return Refused(422, codes.get(field, "702"), message)


# Decline -> (refusalReason, refusalReasonCode); docs.adyen.com/development-resources/refusal-reasons.
_WORDS = {
    "insufficient_funds": ("Not enough balance", "12"),
    "do_not_honor": ("Refused", "2"),
    "lost_card": ("Blocked Card", "5"),
    "stolen_card": ("Blocked Card", "5"),
    "expired_card": ("Expired Card", "6"),
    "incorrect_cvc": ("CVC Declined", "24"),
    "issuer_unavailable": ("Issuer Unavailable", "9"),
    "processing_error": ("Acquirer Error", "4"),
    "limit_exceeded": ("Withdrawal amount exceeded", "28"),
    "restricted_card": ("Restricted Card", "25"),
    "suspected_fraud": ("FRAUD", "20"),
    "authentication_required": ("Authentication required", "38"),
    "authentication_failed": ("3D Not Authenticated", "11"),
    "revoked": ("Revocation Of Auth", "26"),
    "unmapped": ("Reason of tomorrow", "990"),
}
_ADVICE = {
    "01": "01 : New account information available",
    "02": "02 : Cannot approve at this time, try again later",
    "03": "03 : Do not try again",
}


def refusal(decline: Decline) -> tuple[str, str]:
    """refusalReason and refusalReasonCode."""
    return _WORDS[decline.name]


def raw_refusal(decline: Decline) -> dict[str, str]:
    """The issuer's own words, as additionalData."""
    raw: dict[str, str] = {}
    if decline.network_code:
        raw["refusalReasonRaw"] = f"{decline.network_code} : {decline.text}"
    if decline.advice_code:
        raw["merchantAdviceCode"] = _ADVICE[decline.advice_code]
    return raw
