"""Refusals of what is asked of stored value. That there is too little of it to pay with is a decline."""

from scrooge.errors.problem import Problem


class StoredValueClosed(Problem):
    """The account of stored value is closed."""

    status = 409


class StoredValueExpired(Problem):
    """The account of stored value has expired; nothing can be paid from it or loaded on it."""

    status = 409


class StoredValueTooLow(Problem):
    """An adjustment takes more than is available."""

    status = 409


class CodeNotAccepted(Problem):
    """The code is unknown, used, expired, canceled or of another currency; which of these is not told."""


class CodesLocked(Problem):
    """Too many codes were not accepted for this customer; for an hour none is."""

    status = 429


class AdjustmentClosed(Problem):
    """The adjustment was applied or rejected before."""

    status = 409


class StoredValueNotEmpty(Problem):
    """There is still something on the account: `available`, or `held` for payments. Adjust it away, or wait."""

    status = 409
