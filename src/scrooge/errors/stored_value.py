"""Refusals of what is asked of stored value. That there is too little of it to pay with is a decline."""

from scrooge.errors.problem import Problem


class StoredValueClosed(Problem):
    """The account of stored value is closed."""

    status = 409


class StoredValueExpired(Problem):
    """The account of stored value has expired; nothing can be paid from it or loaded on it."""

    status = 409


class StoredValueNotEmpty(Problem):
    """There is still something on the account: `available`, or `held` for payments. Adjust it away, or wait."""

    status = 409
