"""Refusals of the card vault. None of them repeats what was sent."""

from scrooge.errors.problem import Problem


class InvalidNumber(Problem):
    """The card number has a wrong check digit, or is no card number at all."""


class BrandLengthMismatch(Problem):
    """The card number has more or fewer digits than cards of its brand."""


class UnknownBrand(Problem):
    """The card number is in no card scheme's range."""


class ExpiredCard(Problem):
    """The card has expired; it is good through the last day of its month."""


class InvalidSecurityCode(Problem):
    """The security code has the wrong number of digits for the card's brand."""


class TestCardInLiveMode(Problem):
    """A published test number was sent with a live key."""

    __test__ = False


class LiveCardInTestMode(Problem):
    """A number that may be a real card's was sent with a test key; test mode takes published test numbers only."""


class ServiceTokenRefused(Problem):
    """Not a good service token: forged, for another request, run out, or used before."""

    status = 401


class UnknownTemplate(Problem):
    """No such template, or one that is not signed: the vault fills cards into known requests only."""

    status = 403


class TemplateMismatch(Problem):
    """The request is not the one of its template: another method, path, content type, or a placeholder elsewhere."""

    status = 403


class HostRefused(Problem):
    """The request is for a host that is not the connector's."""

    status = 403


class FillTooLate(Problem):
    """The request waited so long on its way that the core has given up; it was not sent."""

    status = 503


class CardBusy(Problem):
    """Somebody else changed the card at this moment; send it again."""

    status = 503


class CardGone(Problem):
    """The card was deleted or has been shredded."""

    status = 410


class SecurityCodeGone(Problem):
    """The request went with a security code that is not to be had again, so it cannot be repeated; not sent."""

    status = 410


class AuditUnavailable(Problem):
    """The record of this act could not be written, so the act did not happen."""

    status = 503


class MoveRefused(Problem):
    """Cards are not imported or exported like this: not looked at before, not approved, or the file is not whole."""

    status = 409
