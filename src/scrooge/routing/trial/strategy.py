"""The seam of the trial: what a policy is asked, what it answers, and what it hears of its attempts.

Scrooge's own policy, the baselines and whatever somebody else writes stand behind the same three values.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from scrooge.domain.declines import Decline
from scrooge.routing.facts import Facts

# approved, declined: the issuer's answer. technical: the PSP did not process it, and that is known. late: no answer,
# or one that says nothing (a timeout, a 5xx): money may have moved, so nobody tries it elsewhere. waiting: not an
# end; the strategy's patience is over. Whoever learns may take it as a hint, and hears the end later.
Kind = Literal["approved", "declined", "technical", "late", "waiting"]
PATIENCE = 2.0


class Heard(Struct, frozen=True):
    """What became of one attempt. `seconds` from sending to hearing; the reason and the codes when declined.

    `again`: the issuer had declined this payment before. What it says then is no sample of what it says to others.
    `waited`: that there was no answer yet was told before.
    """

    outcome: Kind
    seconds: float
    decline: Decline | None = None
    network_code: str | None = None
    advice_code: str | None = None
    again: bool = False
    waited: bool = False


class Tried(Struct, frozen=True):
    """An earlier attempt of the same payment; `at` is when it was sent, Unix microseconds."""

    account: str
    at: int
    heard: Heard


class Choice(Struct, frozen=True):
    """An account to ask now; or none: then `later` is when to ask again (Unix microseconds), or it is over.

    `propensity` is the probability with which this account was taken; what is certain has 1.
    """

    account: str | None = None
    later: int | None = None
    propensity: float = 1.0


STOP = Choice()


class Chance(Protocol):
    """`random.Random` is one; pure code takes it as an argument."""

    def random(self) -> float: ...


class Strategy(Protocol):
    """One policy in one trial. It sees the facts and what it heard, never the world."""

    def decide(
        self, facts: Facts, accounts: Sequence[str], at: int, tried: Sequence[Tried], chance: Chance
    ) -> Choice: ...

    def learn(self, facts: Facts, account: str, heard: Heard, at: int) -> None: ...

    def patience(self, account: str) -> float:
        """Seconds of silence of this account after which it is told that there is no answer yet."""
        return PATIENCE
