"""What follows when a payment that nobody waits for was declined: steps in order, of which the last one counts."""

from enum import StrEnum

from msgspec import Struct


class Phase(StrEnum):
    OPEN = "open"  # Declined, and whoever asked may still ask elsewhere at once: what follows is not decided.
    LOOKING = "looking"  # for something newer than what was declined: a worker asks, and no PSP moves money for it.
    SCHEDULED = "scheduled"
    CUSTOMER = "needs_customer"  # Nothing but the payer can make it better; they have until the deadline.
    MADE = "made"  # The next attempt is recorded; its outcome decides what follows.
    RECOVERED = "recovered"
    LOST = "lost"
    CANCELED = "canceled"  # The caller stopped it, or acted itself.


WAITING = frozenset({Phase.OPEN, Phase.LOOKING, Phase.SCHEDULED, Phase.CUSTOMER})
DECIDED = WAITING - {Phase.OPEN}
ENDED = frozenset({Phase.RECOVERED, Phase.LOST, Phase.CANCELED})


class Recovery(StrEnum):
    """Of a declined payment as a whole."""

    OPEN = "open"
    RECOVERED = "recovered"
    LOST = "lost"


# What a step makes of the recovery; None: it says nothing of it. An ended recovery never changes. The database's
# function recovery_step() has the same table, and a test compares the two.
BECOMES: dict[Phase, Recovery | None] = {
    Phase.OPEN: None,
    Phase.LOOKING: Recovery.OPEN,
    Phase.SCHEDULED: Recovery.OPEN,
    Phase.CUSTOMER: Recovery.OPEN,
    Phase.MADE: Recovery.OPEN,
    Phase.RECOVERED: Recovery.RECOVERED,
    Phase.LOST: Recovery.LOST,
    Phase.CANCELED: Recovery.LOST,
}


class Means(StrEnum):
    """By what the next attempt may do better than the last."""

    WAIT = "wait"  # the timetable: money arrives, an outage ends
    REFRESH = "refresh"  # the PSP, or the token provider, knows a newer card
    OTHER_MANDATE = "other_mandate"  # which the same payer gave for the same use, and opted in
    CUSTOMER = "customer"


class Why(StrEnum):
    """Why a recovery ended. Of a recovered one it says something only where the payer helped."""

    DEADLINE = "deadline"
    HARD_DECLINE = "hard_decline"
    EXHAUSTED = "exhausted"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"  # by the schemes' limits, the risk check or the law
    CUSTOMER_UPDATED = "customer_updated"


class Retry(Struct, frozen=True, kw_only=True):
    """One step. `number` is of the attempt that it follows, or of the one that was made; `round` counts retries made.

    `at`: when to try again, Unix microseconds. `arm`, `propensity` and `timetable`: which plan chose that moment, how
    probable it was that this one would, and its version. `control`: it is left to the timetable alone, for comparison.
    `spent`: the means that can do no more. `mandate`: under which it is paid now, where that is not its own.
    `card_at`: when the newer card that was tried became known, Unix microseconds: each is tried once.
    """

    seq: int
    phase: Phase
    number: int
    because: str
    round: int = 0
    at: int | None = None
    decline: str | None = None
    arm: str | None = None
    propensity: float | None = None
    timetable: str | None = None
    attempt: str | None = None
    means: Means | None = None
    why: Why | None = None
    control: bool | None = None
    spent: tuple[Means, ...] = ()
    mandate: str | None = None
    card_at: int | None = None

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


def over(retry: Retry | None) -> bool:
    return retry is not None and retry.ended
