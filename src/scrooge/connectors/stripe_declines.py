"""Stripe's reasons for a decline. Mapping a new one is one line here and one case in the tests."""

from scrooge.connectors.connector import Json
from scrooge.connectors.kit import card_fingerprint, optional, words
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Declined

# decline_code, or the error's code where Stripe gives none. https://docs.stripe.com/declines/codes
DECLINES = {
    "approve_with_id": Decline.DO_NOT_HONOR,
    "authentication_not_handled": Decline.AUTHENTICATION_REQUIRED,
    "authentication_required": Decline.AUTHENTICATION_REQUIRED,
    "call_issuer": Decline.DO_NOT_HONOR,
    "card_decline_rate_limit_exceeded": Decline.BLOCKED_BY_PSP,
    "card_declined": Decline.DO_NOT_HONOR,
    "card_not_supported": Decline.NOT_SUPPORTED,
    "card_velocity_exceeded": Decline.LIMIT_EXCEEDED,
    "currency_not_supported": Decline.NOT_SUPPORTED,
    "do_not_honor": Decline.DO_NOT_HONOR,
    "do_not_try_again": Decline.RESTRICTED_CARD,
    "duplicate_transaction": Decline.BLOCKED_BY_PSP,  # Elsewhere it might be taken a second time.
    "expired_card": Decline.EXPIRED_CARD,
    "fraudulent": Decline.SUSPECTED_FRAUD,
    "generic_decline": Decline.DO_NOT_HONOR,
    "incorrect_address": Decline.INCORRECT_ADDRESS,
    "incorrect_cvc": Decline.INCORRECT_CVC,
    "incorrect_number": Decline.INCORRECT_NUMBER,
    "incorrect_pin": Decline.INCORRECT_PIN,
    "incorrect_postal_code": Decline.INCORRECT_ADDRESS,
    "incorrect_zip": Decline.INCORRECT_ADDRESS,
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "invalid_account": Decline.RESTRICTED_CARD,
    "invalid_amount": Decline.INVALID_AMOUNT,
    "invalid_cvc": Decline.INCORRECT_CVC,
    "invalid_expiry_month": Decline.EXPIRED_CARD,
    "invalid_expiry_year": Decline.EXPIRED_CARD,
    "invalid_number": Decline.INCORRECT_NUMBER,
    "invalid_pin": Decline.INCORRECT_PIN,
    "issuer_not_available": Decline.ISSUER_UNAVAILABLE,
    "lost_card": Decline.LOST_CARD,
    "merchant_blacklist": Decline.BLOCKED_BY_PSP,
    "mobile_device_authentication_required": Decline.AUTHENTICATION_REQUIRED,
    "new_account_information_available": Decline.INCORRECT_NUMBER,
    "no_action_taken": Decline.DO_NOT_HONOR,
    "not_permitted": Decline.RESTRICTED_CARD,
    "offline_pin_required": Decline.INCORRECT_PIN,
    "online_or_offline_pin_required": Decline.INCORRECT_PIN,
    "payment_intent_authentication_failure": Decline.AUTHENTICATION_FAILED,
    "payment_intent_payment_attempt_expired": Decline.AUTHENTICATION_FAILED,
    "payment_intent_payment_attempt_failed": Decline.DO_NOT_HONOR,
    "pickup_card": Decline.RESTRICTED_CARD,
    "pin_try_exceeded": Decline.INCORRECT_PIN,
    "processing_error": Decline.PROCESSING_ERROR,
    "reenter_transaction": Decline.PROCESSING_ERROR,
    "restricted_card": Decline.RESTRICTED_CARD,
    "revocation_of_all_authorizations": Decline.REVOKED,
    "revocation_of_authorization": Decline.REVOKED,
    "security_violation": Decline.SUSPECTED_FRAUD,
    "service_not_allowed": Decline.NOT_SUPPORTED,
    "stolen_card": Decline.STOLEN_CARD,
    "stop_payment_order": Decline.REVOKED,
    "testmode_decline": Decline.RESTRICTED_CARD,
    "transaction_not_allowed": Decline.NOT_SUPPORTED,
    "try_again_later": Decline.PROCESSING_ERROR,
    "withdrawal_count_limit_exceeded": Decline.LIMIT_EXCEEDED,
}


def declined(error: Json, intent: Json | None) -> Declined:
    """`error` is an API error or the `last_payment_error` of an intent: the same fields."""
    intent = intent or {}
    charge = intent.get("latest_charge")
    issuer = (charge.get("outcome") or {}) if isinstance(charge, dict) else {}
    code = error.get("decline_code") or error["code"]
    method = error.get("payment_method")
    method = method if isinstance(method, dict) else {}
    return Declined(
        DECLINES.get(code, Decline.UNMAPPED),
        code,
        words(error.get("message")),
        optional(error.get("network_decline_code") or issuer.get("network_decline_code")),
        optional(
            error.get("network_advice_code")
            or issuer.get("network_advice_code")
            or error.get("advice_code")
            or issuer.get("advice_code")
        ),
        optional(intent.get("id")),
        card_fingerprint((method.get("card") or {}).get("fingerprint")),
    )
