"""Refusals of what people write about routing."""

from scrooge.errors.problem import Problem


class PolicyRefused(Problem):
    """The routing policy does not hold together. `findings` has each place, and a payment that shows it."""


class TariffsRefused(Problem):
    """The prices do not hold together. `findings` has each place."""


class ActivePolicyChanged(Problem):
    """Another policy is active than the one that was expected. `active` names it."""

    status = 409


class TooManySwitches(Problem):
    """As many switches count for the merchant in this mode as there may be; end some first."""

    status = 409


class RoutingUnavailable(Problem):
    """This process cannot read the active routing policy: it is older than the policy. Nothing was sent."""

    status = 503
