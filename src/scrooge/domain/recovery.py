"""What follows when a payment that nobody waits for was declined: steps in order, of which the last one counts."""

from enum import StrEnum

from msgspec import Struct


class Phase(StrEnum):
    OPEN = "open"  # Declined, and whoever asked may still ask elsewhere at once: what follows is not decided.
    SCHEDULED = "scheduled"
    MADE = "made"  # The next attempt is recorded; its outcome decides what follows.
    RECOVERED = "recovered"
    LOST = "lost"
    CANCELED = "canceled"  # The caller stopped it, or acted itself.


WAITING = frozenset({Phase.OPEN, Phase.SCHEDULED})
ENDED = frozenset({Phase.RECOVERED, Phase.LOST, Phase.CANCELED})


class Retry(Struct, frozen=True, kw_only=True):
    """One step. `number` is of the attempt that it follows, or of the one that was made; `round` counts retries made.

    `at`: when to try again, Unix microseconds. `arm`, `propensity` and `timetable`: which plan chose that moment, how
    probable it was that this one would, and its version.
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

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


def over(retry: Retry | None) -> bool:
    return retry is not None and retry.ended
