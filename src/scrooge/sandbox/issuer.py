"""What the cardholder's bank says: one decision for every PSP in front of it."""

from typing import Literal

import msgspec

from .cards import DECLINES, Card, Decline

Answer = Literal["approved", "declined", "challenge", "pending"]


class Verdict(msgspec.Struct, frozen=True):
    """The issuer's answer; `decline` is set exactly when it is no."""

    answer: Answer
    decline: Decline | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances an issuer looks at."""

    merchant_initiated: bool = False
    authenticated: bool = False  # the payer has passed a challenge for this payment
    wants_challenge: bool = False  # the merchant asked for 3-D Secure whatever the risk
    exemption: str = ""  # from authentication, that the merchant or the PSP asks for
    concluding: bool = False  # a pending payment comes to its end
    before: bool = False  # this amount was asked of the card before, by the same merchant


def no(reason: str) -> Verdict:
    """A refusal for this reason."""
    return Verdict("declined", DECLINES[reason])


def decide(card: Card, ask: Ask) -> Verdict:
    """The issuer's answer to an authorization; the same card and circumstances, the same answer."""
    outcome = card.outcome
    if outcome.startswith("declined_at_first") and ask.before:
        return Verdict("approved")
    if outcome.startswith("withdrawn") and not ask.merchant_initiated:
        return Verdict("challenge" if ask.wants_challenge and not ask.authenticated else "approved")
    if outcome.startswith("pending") and not ask.concluding:
        return Verdict("pending")
    if outcome == "pending_declined":
        return no("do_not_honor")
    if ask.authenticated:
        return no("do_not_honor") if outcome == "challenge_declined" else _after_challenge(card)
    if outcome in {"challenge", "challenge_declined"}:
        # Nobody is there to be challenged in a merchant-initiated payment: a soft decline.
        return no("authentication_required") if ask.merchant_initiated else Verdict("challenge")
    if ask.wants_challenge and not ask.merchant_initiated:
        return Verdict("challenge")
    if outcome in {"sca", "sca_strict"} and not ask.merchant_initiated:
        # An issuer of the EEA: authenticated, or exempted if it agrees to that; else a soft decline.
        return Verdict("approved") if ask.exemption and outcome == "sca" else no("authentication_required")
    return no(card.decline) if card.decline else Verdict("approved")


def _after_challenge(card: Card) -> Verdict:
    """With authentication done, only cards that refuse for another reason still say no."""
    if card.decline and card.decline != "authentication_required":
        return no(card.decline)
    return Verdict("approved")
