"""What follows a failed authorization at once, as a decision that explains itself. Pure.

Only what is known not to have moved money goes elsewhere, and a decline only if its reason advises that. What is known
beside the outcome adds the issuer's codes by brand, 3-D Secure after a soft decline, and the card's number after a
token that is not supported; it never allows what the reason forbids.
"""

from msgspec import Struct

from scrooge.domain.declines import Advice
from scrooge.domain.outcome import Declined, Outcome, Rejected
from scrooge.domain.retry import NEVER_AGAIN, TRIES_MAX, Elsewhere, Stop
from scrooge.routing.declines.catalogue import Catalogue, Reading, catalogue, read
from scrooge.routing.schemes.allowed import Allowed
from scrooge.routing.schemes.rules import Refused

SEND_THE_NUMBER = "04"  # Mastercard's merchant advice code


class StepUp(Struct, frozen=True, tag=True):
    """Ask the same merchant account again, with 3-D Secure and without an exemption."""

    because: str


class AsNumber(Struct, frozen=True, tag=True):
    """Ask the same merchant account again, with the card's number instead of its network token."""

    because: str


class Situation(Struct, frozen=True, kw_only=True):
    """What is known beside the outcome. `allowed`: the schemes' verdict on one attempt more with this card, now."""

    connector: str = ""
    brand: str = ""
    can_authenticate: bool = False  # the payer is there, and the account can ask for 3-D Secure
    authenticated: bool = False  # this attempt already had 3-D Secure
    network_token: bool = False  # this attempt was sent with one
    number_at_hand: bool = False  # the vault may send the number instead
    allowed: Allowed | Refused | None = None
    tries_max: int = TRIES_MAX


NOTHING_MORE = Situation()
Step = Stop | Elsewhere | StepUp | AsNumber


def next_step(
    outcome: Outcome,
    tries: int,
    accounts_left: int,
    situation: Situation = NOTHING_MORE,
    known: Catalogue | None = None,
) -> Step:
    """Only what is known not to have moved money may be tried again; doubt never is."""
    step = wanted(outcome, situation, known or catalogue())
    if isinstance(step, Stop):
        return step
    if tries >= situation.tries_max:
        return Stop(f"{tries} attempts were made for this payment")
    if isinstance(step, Elsewhere) and accounts_left == 0:
        return Stop("no merchant account is left to try")
    if isinstance(situation.allowed, Refused):
        return Stop(situation.allowed.because)
    return step


def wanted(outcome: Outcome, s: Situation, known: Catalogue) -> Step:
    match outcome:
        case Rejected() if s.network_token and s.number_at_hand:
            return AsNumber("the PSP did not process it with the network token")
        case Rejected():
            return Elsewhere("the PSP did not process it")
        case Declined(advice_code=code) if code in NEVER_AGAIN:
            return Stop(f"the issuer advises {code}: never again")
        case Declined():
            return after_decline(outcome, s, read(known, outcome, s.connector, s.brand))
        case _:
            return Stop("this outcome is not tried elsewhere")


def after_decline(outcome: Declined, s: Situation, reading: Reading) -> Step:
    said = f"declined: {reading.decline}; {reading.because}"
    may = reading.advice in (Advice.RETRY_ELSEWHERE, Advice.RETRY_LATER)
    if outcome.advice_code == SEND_THE_NUMBER and s.network_token and s.number_at_hand and may:
        return AsNumber(f"{said}; the issuer advises 04: the token is not supported")
    match reading.advice:
        case Advice.RETRY_ELSEWHERE:
            return Elsewhere(said)
        case Advice.AUTHENTICATE if s.authenticated:
            return Stop(f"{said}; but the payer was authenticated")
        case Advice.AUTHENTICATE if s.can_authenticate:
            return StepUp(said)
        case Advice.AUTHENTICATE:
            return Stop(f"{said}; the payer has to come back")
        case Advice.RETRY_LATER:
            return Stop(f"{said}; not now, perhaps later")
        case _:
            return Stop(f"{said}; nothing can follow with this card")
