"""What an issuer's answer says of the mandate under which it was asked: that its cardholder does not agree any more."""

from scrooge.domain.attempt import Attempt, State
from scrooge.domain.declines import Decline
from scrooge.domain.mandate import Revoked
from scrooge.domain.payment import Payment

# Mastercard's advice that the cardholder ended the recurring payments. 03, "do not try again", says that the account
# will approve nothing: its card is left alone for thirty days (schemes/rules.toml), and the agreement stands.
# https://developer.paypal.com/braintree/docs/reference/general/merchant-responses/merchant-advice-codes
ENDED = "21"
# Visa's response codes: R0 stop payment, R1 revocation of the authorization, R3 revocation of all authorizations.
# https://usa.visa.com/dam/VCOM/download/about-visa/visa-rules-public.pdf
STOPPED = frozenset({"R0", "R1", "R3"})


def withdrawn(before: Payment, after: Payment) -> Revoked | None:
    """By a decline that is new in `after`, of a payment under a mandate; a card that is to be its next says nothing."""
    if after.mandate is None or after.mandate_use is None:
        return None
    known = {a.id: a.state for a in before.attempts}
    for a in after.attempts:
        if a.state is State.DECLINED and known.get(a.id) is not State.DECLINED and (why := told(a)) is not None:
            return Revoked(why, "issuer")
    return None


def told(a: Attempt) -> str | None:
    """Mastercard's merchant advice 21, Visa's codes, and what a PSP calls a revoked authorization."""
    if a.advice_code == ENDED:
        return f"the issuer advised {a.advice_code}"
    if a.network_code in STOPPED:
        return f"the issuer answered {a.network_code}"
    return "the issuer says that the cardholder revoked it" if a.decline == Decline.REVOKED else None
