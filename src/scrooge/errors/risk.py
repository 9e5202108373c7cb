"""Refusals of the risk check, and of what people write about it."""

from scrooge.errors.problem import Problem


class RiskPolicyRefused(Problem):
    """The risk policy does not hold together. `findings` has each place."""


class RiskBlocked(Problem):
    """The risk check blocks another authorization of this payment. Nothing was recorded or sent."""


class RiskUnavailable(Problem):
    """The risk check cannot be made, and the policy wants it. Nothing was recorded or sent; try again."""

    status = 503
