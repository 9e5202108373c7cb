"""Which outcomes say something about the route: a stolen card is declined everywhere, a doubtful one not. Pure."""

from enum import StrEnum

from msgspec import Struct

from scrooge.domain.declines import Decline


class Heard(StrEnum):
    """How one authorization ended, as far as routing learns from it."""

    APPROVED = "approved"
    DECLINED = "declined"
    TECHNICAL = "technical"  # not processed, and no answer about the card: refused, unreachable, broken
    LATE = "late"  # no answer yet when there should have been one; what it became is told later


class Lesson(Struct, frozen=True):
    """`weight` from 0, which teaches nothing about the route, to 1."""

    approved: bool
    weight: float


# How much a decline says about the route that was taken, by its reason. The issuer's doubt, the PSP's own rules and
# everything technical depend on who asks and how; the card's own state and the payer's mistakes do not.
WEIGHTS: dict[Decline, float] = {
    Decline.DO_NOT_HONOR: 1.0,
    Decline.ISSUER_UNAVAILABLE: 1.0,
    Decline.PROCESSING_ERROR: 1.0,
    Decline.NOT_SUPPORTED: 1.0,
    Decline.BLOCKED_BY_PSP: 1.0,
    Decline.SUSPECTED_FRAUD: 1.0,  # the issuer's score takes the acquirer and the data sent into account
    Decline.AUTHENTICATION_REQUIRED: 1.0,  # an exemption that the issuer does not grant to this acquirer
    Decline.UNMAPPED: 0.5,  # one or the other
    Decline.RESTRICTED_CARD: 0.0,
    Decline.INSUFFICIENT_FUNDS: 0.0,
    Decline.LIMIT_EXCEEDED: 0.0,
    Decline.AUTHENTICATION_FAILED: 0.0,
    Decline.INCORRECT_CVC: 0.0,
    Decline.INCORRECT_NUMBER: 0.0,
    Decline.INCORRECT_PIN: 0.0,
    Decline.INCORRECT_ADDRESS: 0.0,
    Decline.EXPIRED_CARD: 0.0,
    Decline.INVALID_AMOUNT: 0.0,
    Decline.LOST_CARD: 0.0,
    Decline.STOLEN_CARD: 0.0,
    Decline.REVOKED: 0.0,
    Decline.CANCELED_BY_PAYER: 0.0,
}
APPROVAL, FAILURE, NOTHING = Lesson(True, 1.0), Lesson(False, 1.0), Lesson(False, 0.0)
DECLINES = {decline: Lesson(False, weight) for decline, weight in WEIGHTS.items()}


def lesson(heard: Heard, decline: Decline | None = None) -> Lesson:
    """What is late teaches nothing until it is resolved; else slow accounts that approve in the end would look bad."""
    match heard:
        case Heard.APPROVED:
            return APPROVAL
        case Heard.DECLINED:
            return DECLINES[decline or Decline.UNMAPPED]
        case Heard.TECHNICAL:
            return FAILURE
        case Heard.LATE:
            return NOTHING
