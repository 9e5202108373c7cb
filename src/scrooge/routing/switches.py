"""What an operator has switched by hand: an account, or some of its payments, until a moment and for a reason. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from scrooge.routing.facts import Facts
from scrooge.routing.health import State
from scrooge.routing.when import ANYTHING, When, unmet


class Manual(Struct, frozen=True, kw_only=True):
    """`until` is Unix microseconds; None, until somebody switches it back. `on` overrules what health has found."""

    account: str
    state: State
    reason: str
    until: int | None = None
    when: When = ANYTHING


def switched(switches: Iterable[Manual], facts: Facts) -> Manual | None:
    """The one that counts for this payment at its moment: the last that was made."""
    found = None
    for switch in switches:
        if (switch.until is None or facts.at < switch.until) and not unmet(switch.when, facts):
            found = switch
    return found
