"""The decline catalogue: every reason an issuer says no, and what may be done about it.

Adding a reason is one line here; mapping a PSP's code to it is one line in that PSP's connector.
"""

from enum import StrEnum


class Advice(StrEnum):
    """What may be tried after a decline."""

    RETRY_LATER = "retry_later"  # same card, after a pause
    RETRY_ELSEWHERE = "retry_elsewhere"  # same card, another merchant account, now
    AUTHENTICATE = "authenticate"  # same card, with 3-D Secure
    NEW_DETAILS = "new_details"  # ask the payer: expiry, security code, another card
    STOP = "stop"  # never again with this card


class Decline(StrEnum):
    """A reason; `advice` says what may follow, `hard` whether the card is finished for us."""

    advice: Advice

    def __new__(cls, code: str, advice: Advice) -> "Decline":
        self = str.__new__(cls, code)
        self._value_, self.advice = code, advice
        return self

    INSUFFICIENT_FUNDS = "insufficient_funds", Advice.RETRY_LATER
    LIMIT_EXCEEDED = "limit_exceeded", Advice.RETRY_LATER
    ISSUER_UNAVAILABLE = "issuer_unavailable", Advice.RETRY_ELSEWHERE
    PROCESSING_ERROR = "processing_error", Advice.RETRY_ELSEWHERE
    DO_NOT_HONOR = "do_not_honor", Advice.RETRY_ELSEWHERE
    NOT_SUPPORTED = "not_supported", Advice.RETRY_ELSEWHERE
    AUTHENTICATION_REQUIRED = "authentication_required", Advice.AUTHENTICATE
    AUTHENTICATION_FAILED = "authentication_failed", Advice.NEW_DETAILS
    INCORRECT_CVC = "incorrect_cvc", Advice.NEW_DETAILS
    INCORRECT_NUMBER = "incorrect_number", Advice.NEW_DETAILS
    INCORRECT_PIN = "incorrect_pin", Advice.NEW_DETAILS
    INCORRECT_ADDRESS = "incorrect_address", Advice.NEW_DETAILS
    EXPIRED_CARD = "expired_card", Advice.NEW_DETAILS
    INVALID_AMOUNT = "invalid_amount", Advice.STOP
    RESTRICTED_CARD = "restricted_card", Advice.STOP
    LOST_CARD = "lost_card", Advice.STOP
    STOLEN_CARD = "stolen_card", Advice.STOP
    SUSPECTED_FRAUD = "suspected_fraud", Advice.STOP
    BLOCKED_BY_PSP = "blocked_by_psp", Advice.STOP
    REVOKED = "authorization_revoked", Advice.STOP
    CANCELED_BY_PAYER = "canceled_by_payer", Advice.STOP
    UNMAPPED = "unmapped", Advice.STOP

    @property
    def hard(self) -> bool:
        """No retry with the same details can succeed."""
        return self.advice in {Advice.STOP, Advice.NEW_DETAILS}
