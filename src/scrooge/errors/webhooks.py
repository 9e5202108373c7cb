"""Refusals about webhook endpoints and deliveries."""

from scrooge.errors.problem import Problem


class TooManyEndpoints(Problem):
    """The merchant has as many webhook endpoints in this mode as there may be."""

    status = 409


class EndpointDisabled(Problem):
    """The webhook endpoint is disabled; enable it first."""

    status = 409


class ReplayRunning(Problem):
    """A replay to this webhook endpoint is running; one at a time."""

    status = 409
