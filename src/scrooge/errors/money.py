"""Refusals of amounts."""

from scrooge.errors.problem import Problem


class AmountScaleMismatch(Problem):
    """The decimal string does not have exactly the currency's scale."""


class AmountMustBePositive(Problem):
    """Zero or negative."""


class AmountOutOfRange(Problem):
    """Larger than any amount Scrooge takes."""


class UnknownCurrency(Problem):
    """Not an ISO 4217 currency that payments are made in."""


class CurrencyMismatch(Problem):
    """The currency is not the payment's."""


class AmountNotRepresentable(Problem):
    """The PSP counts this currency in larger units than the amount needs."""


class AmountExceedsRoom(Problem):
    """The operation asks for more money than is left to capture, void or refund (`room`)."""

    status = 409
