"""Which connector accounts may take a payment, best first, and why the others may not. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import Struct


class Candidate(Struct, frozen=True):
    """What routing knows of one account that has a credential for the instrument, or may be sent its card."""

    account: str
    name: str
    active: bool
    livemode: bool
    can_authorize: bool
    pressure: str | None = None  # why it would refuse a payment just now
    obstacle: str | None = None  # why the card in the vault cannot go there
    misfit: str | None = None  # why its PSP cannot be asked for this amount
    can: frozenset[str] = frozenset()  # capabilities that not every account has


class Route(Struct, frozen=True):
    """`accounts` in the order to try; `considered` says for each name why it was taken or not."""

    accounts: tuple[str, ...]
    considered: Mapping[str, str]
    pressed: int = 0  # how many could take it at another moment


def choose(candidates: Iterable[Candidate], livemode: bool, only: str | None = None) -> Route:
    """In the order given: the instrument's credentials as they came, then accounts by age. `only` names one account."""
    accounts: list[str] = []
    considered: dict[str, str] = {}
    pressed = 0
    for c in candidates:
        why = refusal(c, livemode, only) or c.misfit
        considered[c.name] = why or c.pressure or "eligible"
        if why is None and c.pressure is None:
            accounts.append(c.account)
        elif why is None:
            pressed += 1
    return Route(tuple(accounts), considered, pressed)


def refusal(c: Candidate, livemode: bool, only: str | None) -> str | None:
    if only is not None and only not in (c.account, c.name):
        return "another account was asked for"
    if c.livemode is not livemode:
        return "test and live do not mix"
    if not c.active:
        return "paused or draining"
    if not c.can_authorize:
        return "its connector cannot authorize"
    return c.obstacle
