"""Whether a failed authorization may be tried elsewhere at once, as a decision that explains itself. Pure."""

from msgspec import Struct

from scrooge.domain.declines import Advice
from scrooge.domain.outcome import Declined, Outcome, Rejected

TRIES_MAX = 3
# Merchant advice codes of the schemes: 03 do not try again, 21 the payer stopped the recurring payment.
NEVER_AGAIN = frozenset({"03", "21"})


class Stop(Struct, frozen=True, tag=True):
    because: str


class Elsewhere(Struct, frozen=True, tag=True):
    """Ask the next merchant account now."""

    because: str


def next_step(outcome: Outcome, tries: int, accounts_left: int) -> Stop | Elsewhere:
    """Only what is known not to have moved money may go elsewhere; doubt never does."""
    if accounts_left == 0 or tries >= TRIES_MAX:
        return Stop("no merchant account is left to try")
    match outcome:
        case Rejected():
            return Elsewhere("the PSP did not process it")
        case Declined(advice_code=code) if code in NEVER_AGAIN:
            return Stop(f"the issuer advises {code}: never again")
        case Declined(decline=decline) if decline.advice is Advice.RETRY_ELSEWHERE:
            return Elsewhere(f"declined: {decline}")
        case _:
            return Stop("this outcome is not tried elsewhere")
