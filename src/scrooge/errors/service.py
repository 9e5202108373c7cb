"""Refusals for reasons of our own."""

from scrooge.errors.problem import Problem


class NotificationRefused(Problem):
    """A notification whose signature does not verify, or that no connector account expects."""

    status = 401


class DatabaseUnavailable(Problem):
    """The database cannot be reached; nothing was sent to a PSP. Try again after `Retry-After`."""

    status = 503
    unconfirmed = False  # the connection was lost in the middle: what was asked of it may have been done


class Overloaded(Problem):
    """More requests than this process can take now; nothing was done. Try again after `Retry-After`."""

    status = 503


class PspOverloaded(Problem):
    """Too many requests wait for the PSP; nothing was recorded or sent. Try again after `Retry-After`."""

    status = 503


class PspUnavailable(Problem):
    """The PSP fails and its circuit breaker is open; nothing was recorded or sent. Try again after `Retry-After`."""

    status = 503


class VaultUnavailable(Problem):
    """The card vault cannot be asked; nothing was recorded or sent. Try again after `Retry-After`."""

    status = 503


class DeadlineTooShort(Problem):
    """The request's deadline leaves too little time to ask a PSP; nothing was recorded or sent."""

    status = 503


class InternalError(Problem):
    """A bug. The request id finds it in the logs."""

    status = 500
