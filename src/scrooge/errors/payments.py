"""Refusals of what is asked of a payment, an instrument or a connector account."""

from scrooge.errors.problem import Problem


class UnsupportedOperation(Problem):
    """The PSP of this payment cannot do this."""


class AuthorizationLive(Problem):
    """The payment has a live authorization; a second one could take the money twice."""

    status = 409


class AuthorizationNotApproved(Problem):
    """There is no approved authorization to capture, void or refund from."""

    status = 409


class AuthorizationExpired(Problem):
    """The authorization expired; authorize again with POST .../authorizations."""

    status = 409


class CaptureInFlight(Problem):
    """A capture or void has not concluded yet; try again when it has."""

    status = 409


class IncrementInFlight(Problem):
    """An increment has not concluded yet; try again when it has."""

    status = 409


class AuthorizationCaptured(Problem):
    """Something of the authorization has been captured or voided, so it cannot be raised any more."""

    status = 409


class NothingToAuthenticate(Problem):
    """The payment does not wait for the payer."""

    status = 409


class PartOfSplit(Problem):
    """The payment is a part of another (`payment`), and moves with it."""

    status = 409


class TendersDiffer(Problem):
    """What the tenders pay is not what the payment is for."""


class ContradictoryOutcome(Problem):
    """A PSP reported two final outcomes for one attempt. Opens a break; never overwrites."""

    status = 409


class UnknownInstrument(Problem):
    """No such instrument for this merchant."""


class InstrumentNotOfCustomer(Problem):
    """The instrument belongs to another customer."""


class NoRoute(Problem):
    """No connector account can take this authorization; `considered` says why for each."""


class ReattemptRefused(Problem):
    """The schemes allow no other attempt with this card now; `rule` and `until` (null: for ever) say more."""


class UnknownMandate(Problem):
    """No such mandate for this merchant."""


class MandatePending(Problem):
    """The payment with which the payer agreed is not approved yet."""

    status = 409


class MandateRevoked(Problem):
    """The payer does not agree any more; nothing is paid under the mandate again."""

    status = 409


class AmountOverMandate(Problem):
    """More than the payer agreed that one payment may be (`max`), or in another currency."""


class RetriesRefused(Problem):
    """Not a payment, or not a time, for which Scrooge tries again by itself: merchant-initiated, at most 60 days."""


class AuthenticationRequired(Problem):
    """A law wants the payer to authenticate for this payment, which the merchant initiates; `source` is the rule."""


class UnknownConnectorAccount(Problem):
    """No such connector account for this merchant."""


class UnknownConnector(Problem):
    """No connector of this name is installed."""


class NameTaken(Problem):
    """The name is in use."""

    status = 409


class BadCredentials(Problem):
    """Credentials lack something the connector needs, are for the other mode, or cannot be kept safely here."""


class BadUrl(Problem):
    """The URL may not be called from here."""
