"""When a payment that was declined is tried again without the payer: by rules first, by what was learned then. Pure.

Rules: so long after the first failure, by the reason; at the hours at which the issuer's cardholders get money;
on a payday where one is near. Whatever proposes a moment, the schemes' rules are asked about that moment, and the
caller's deadline ends it.
"""

from collections.abc import Callable
from functools import cache

from msgspec import Struct

from scrooge.domain.declines import Advice, Decline
from scrooge.domain.recovery import Why
from scrooge.domain.retry import Stop
from scrooge.routing.calendar import DAY, HOUR, local, next_hour, zone_of
from scrooge.routing.schemes.allowed import Allowed
from scrooge.routing.schemes.rules import Refused
from scrooge.routing.shipped import shipped

ASKED_MAX = 8  # moments proposed to the schemes' rules before we give up


class Class(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reasons that get better in the same way. `hours` are the issuer's local ones, ascending."""

    name: str
    declines: frozenset[Decline]
    after_hours: tuple[int, ...]
    gap_hours: int
    hours: tuple[int, ...]
    payday_within_days: int


class Timetable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"classes": "class"}):
    version: str
    source: str
    control_share: float
    learned_from: int
    classes: tuple[Class, ...]
    paydays: dict[str, tuple[int, ...]]

    def class_of(self, decline: Decline) -> Class | None:
        return next((c for c in self.classes if decline in c.declines), None)


class Failed(Struct, frozen=True, kw_only=True):
    """A payment whose authorization was declined. Moments in Unix microseconds.

    `advice` as the catalogue reads the last decline; `tries` counts all attempts until now.
    """

    decline: Decline
    advice: Advice
    initiator: str
    first_at: int
    last_at: int
    tries: int
    deadline: int
    country: str = ""
    margin_minor: int = 0  # what an approval is worth, and what an attempt costs: for the learned plan
    cost_minor: int = 0


class Later(Struct, frozen=True, tag=True):
    """Try again at `at`. `arm`: rules | learned; `propensity`: how probable this arm was."""

    at: int
    because: str
    arm: str = "rules"
    propensity: float = 1.0


Permitted = Callable[[int], Allowed | Refused]


@cache
def timetable() -> Timetable:
    return shipped("timing.toml", Timetable)


def later(failed: Failed, permitted: Permitted, rules: Timetable | None = None) -> Later | Stop:
    """By rules. `permitted` is the schemes' verdict on an attempt at a moment."""
    rules = rules or timetable()
    of = hopeful(failed, rules)
    if isinstance(of, Stop):
        return of
    if failed.tries > len(of.after_hours):
        return Stop(
            f"the schedule for {of.name} has {len(of.after_hours)} retries, and they are used up", Why.EXHAUSTED
        )
    after = of.after_hours[failed.tries - 1]
    at = max(failed.first_at + after * HOUR, failed.last_at + of.gap_hours * HOUR)
    because = f"{of.name}: {after} hours"
    step = permitted_at(failed, permitted, at, lambda at: good_moment(at, of, failed, rules), because)
    last = max(failed.last_at + of.gap_hours * HOUR, failed.deadline - DAY)
    if isinstance(step, Stop) and last < at:  # Rather sooner than never: at a good hour of the last day.
        zone, because = zone_of(failed.country), f"{of.name}: the last day, {(last - failed.first_at) // HOUR} hours"
        final = permitted_at(failed, permitted, last, lambda at: next_hour(at, zone, of.hours), because)
        return step if isinstance(final, Stop) else final
    return step


def postponed(
    failed: Failed, permitted: Permitted, at: int, because: str, rules: Timetable | None = None
) -> Later | Stop:
    """What was to be tried and could not be: the first good moment from `at` on, whatever the schedule was."""
    rules = rules or timetable()
    of = hopeful(failed, rules)
    if isinstance(of, Stop):
        return of
    hours = max(0, at - failed.first_at) // HOUR
    step = permitted_at(
        failed, permitted, at, lambda at: good_moment(at, of, failed, rules), f"{of.name}: {hours} hours"
    )
    return step if isinstance(step, Stop) else Later(step.at, f"{step.because}: {because}")


def hopeful(failed: Failed, rules: Timetable) -> Class | Stop:
    """The class, if anything but the payer can make it better."""
    if failed.initiator != "merchant":
        return Stop("the payer has to come back")
    of = rules.class_of(failed.decline)
    if failed.advice not in (Advice.RETRY_LATER, Advice.RETRY_ELSEWHERE) or of is None:
        return Stop(f"{failed.decline} does not pass with time")
    return of


def permitted_at(
    failed: Failed, permitted: Permitted, at: int, move: Callable[[int], int], because: str
) -> Later | Stop:
    """The first moment from `at` on that is good, allowed by the schemes and before the deadline."""
    waited = ""
    for _ in range(ASKED_MAX):
        at = move(at)
        if at > failed.deadline:
            return Stop(f"{because} after the failure{waited} is past the deadline", Why.DEADLINE)
        verdict = permitted(at)
        if isinstance(verdict, Allowed):
            return Later(at, f"{because} after the failure{waited}")
        if verdict.until is None:
            return Stop(verdict.because)
        at, waited = max(verdict.until, at + 1), f", {verdict.rule}"
    return Stop(f"the schemes allow no good moment{waited}", Why.EXHAUSTED)


def good_moment(at: int, of: Class, failed: Failed, rules: Timetable) -> int:
    """`at`, or the next moment with a good hour and, where it matters, a payday's morning if one is near."""
    zone = zone_of(failed.country)
    for ahead in range(of.payday_within_days + 1):
        there = at + ahead * DAY
        if of.payday_within_days and is_payday(there, failed.country, rules):
            morning = there if ahead == 0 else there - local(there, zone).hour * HOUR
            return next_hour(max(morning, at), zone, of.hours)
    return next_hour(at, zone, of.hours)


def is_payday(at: int, country: str, rules: Timetable) -> bool:
    here = local(at, zone_of(country))
    days = rules.paydays.get(country, rules.paydays["default"])
    return here.day in days or (-1 in days and here.day == here.last_day)
