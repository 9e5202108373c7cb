"""Stripe's error objects (docs.stripe.com/api/errors) and its words for an issuer's refusals."""

from typing import Any

import msgspec

from ..cards import Decline
from ..wire import Reply


class Refused(Exception):
    """A request that ends in an error object.

    `keep` is true for what was found out while executing and false for what was wrong with the
    parameters: only the former is stored under an idempotency key.
    """

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        error = {"message": message, "type": type_}
        if code is not None:
            error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code}"}
        if param is not None:
            error["param"] = param
        self.reply = Reply(status, msgspec.json.encode({"error": error | (more or {})}), keep=keep)

    @classmethod
    def invalid(cls, param: str, message: str, code: str | None = None) -> "Refused":
        """A parameter with a value that is not one."""
        return cls(400, "invalid_request_error", message, code=code, param=param)

    @classmethod
    def missing(cls, what: str, id_: str, param: str, status: int = 404) -> "Refused":
        """A resource that is not there."""
        message = f"No such {what}: '{id_}'"
        return cls(status, "invalid_request_error", message, code="resource_missing", param=param)


# Decline -> (code, decline_code, the message a payer may read); docs.stripe.com/declines/codes.
_WORDS = {
    "insufficient_funds": ("card_declined", "insufficient_funds", "has insufficient funds."),
    "do_not_honor": ("card_declined", "generic_decline", "was declined."),
    "lost_card": ("card_declined", "lost_card", "was declined."),
    "stolen_card": ("card_declined", "stolen_card", "was declined."),
    "expired_card": ("expired_card", "expired_card", "has expired."),
    "incorrect_cvc": ("incorrect_cvc", "incorrect_cvc", "security code is incorrect."),
    "issuer_unavailable": ("card_declined", "issuer_not_available", "was declined."),
    "limit_exceeded": ("card_declined", "card_velocity_exceeded", "was declined."),
    "restricted_card": ("card_declined", "restricted_card", "was declined."),
    "suspected_fraud": ("card_declined", "fraudulent", "was declined."),
    "revoked": ("card_declined", "revocation_of_authorization", "was declined."),
    "unmapped": ("card_declined", "reason_of_tomorrow", "was declined."),
}
_SENTENCES = {
    "processing_error": (
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
    "authentication_failed": (
        "payment_intent_authentication_failure",
        None,
        "The provided PaymentMethod has failed authentication.",
    ),
}
_ADVICE = {"01": "confirm_card_data", "02": "try_again_later", "03": "do_not_try_again"}


def decline_error(decline: Decline) -> dict[str, Any]:
    """The card_error for a refusal, as last_payment_error and as a 402's error."""
    if decline.name in _SENTENCES:
        code, decline_code, message = _SENTENCES[decline.name]
    else:
        code, decline_code, ending = _WORDS[decline.name]
        possessive = "card's" if decline.name == "incorrect_cvc" else "card"
        message = f"Your {possessive} {ending}"
    error = {
        "code": code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code}",
        "message": message,
        "type": "card_error",
    }
    if decline_code is not None:
        error |= {"decline_code": decline_code}
    if decline.advice_code:
        error |= {
            "advice_code": _ADVICE[decline.advice_code],
            "network_advice_code": decline.advice_code,
        }
    if decline.network_code:
        error |= {"network_decline_code": decline.network_code}
    return error


def decline_outcome(decline: Decline) -> dict[str, Any]:
    """`charge.outcome` of a refused charge."""
    blocked = decline.name == "suspected_fraud"
    error = decline_error(decline)
    return {
        "advice_code": error.get("advice_code"),
        "network_advice_code": decline.advice_code or None,
        "network_decline_code": decline.network_code or None,
        "network_status": "not_sent_to_network" if blocked else "declined_by_network",
        "reason": "highest_risk_level" if blocked else error.get("decline_code"),
        "risk_level": "highest" if blocked else "normal",
        "risk_score": 92 if blocked else 12,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "blocked" if blocked else "issuer_declined",
    }
