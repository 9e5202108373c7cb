"""When a retry is likely to be approved, as it was learned; and when to make it, solved backwards. Pure.

A discrete hazard: the probability that an attempt in a given hour is approved, by reason, payday, time since
the failure and local hour, each shrunk to the coarser. Cells only ever add up, so that processes can share them.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from scrooge.domain.recovery import Why
from scrooge.domain.retry import Stop
from scrooge.routing.calendar import HOUR, local, zone_of
from scrooge.routing.later import (
    Class,
    Failed,
    Later,
    Permitted,
    Timetable,
    hopeful,
    is_payday,
    permitted_at,
    timetable,
)
from scrooge.routing.later import later as by_rules

SHRINK = 40.0  # outcomes that the coarser estimate is worth
START = 0.15  # before anything is known
AGES = (6, 24, 72, 168, 336)  # hours since the failure at which the next bin begins
HOURS_BIN = 4  # local hours in a bin
DISCOUNT = 0.9995  # an hour later is worth so much less: the payer may leave, the service runs unpaid
TRIES_LEFT_MAX = 8
Cells = Mapping[str, tuple[float, float]]  # approved, tried


class Hour(Struct, frozen=True):
    """What the hazard knows of a moment."""

    age: int
    hour: int
    payday: bool


def hour_of(failed: Failed, at: int, rules: Timetable) -> Hour:
    age = (at - failed.first_at) // HOUR
    here = local(at, zone_of(failed.country)).hour // HOURS_BIN
    return Hour(sum(age >= edge for edge in AGES), here, is_payday(at, failed.country, rules))


def keys(name: str, h: Hour) -> tuple[str, ...]:
    """From the coarsest to the finest."""
    payday = f"{name} payday={int(h.payday)}"
    return name, payday, f"{payday} age={h.age}", f"{payday} age={h.age} hour={h.hour}"


def learned(failed: Failed, at: int, approved: bool, rules: Timetable | None = None) -> Cells:
    """The cells that one retry's outcome changes, as increments: add them to what everybody has."""
    rules = rules or timetable()
    of = rules.class_of(failed.decline)
    if of is None:
        return {}
    return {key: (float(approved), 1.0) for key in keys(of.name, hour_of(failed, at, rules))}


def added(cells: Cells, more: Cells) -> Cells:
    """In whatever order: sums of counts."""
    merged = dict(cells)
    for key, (approved, tried) in more.items():
        a, n = merged.get(key, (0.0, 0.0))
        merged[key] = (a + approved, n + tried)
    return merged


def hazard(cells: Cells, name: str, h: Hour) -> float:
    """P(approved | tried in this hour): a Beta's mean at each level, with the coarser level's mean as its prior."""
    p = START
    for key in keys(name, h):
        approved, tried = cells.get(key, (0.0, 0.0))
        p = (SHRINK * p + approved) / (SHRINK + tried)
    return p


def values(q: Sequence[float], tries: int, gap: int, gain: float, cost: float, discount: float) -> list[list[float]]:
    """V[r][t]: what is still to be had from hour t on with r attempts left, each `gap` hours after the last.

    V(t, r) = max(d V(t+1, r), q(t) (gain - cost) + (1 - q(t)) (d^gap V(t+gap, r-1) - cost)), and 0 at the end.
    """
    end = len(q)
    table = [[0.0] * (end + 1)]
    for r in range(1, tries + 1):
        row, fewer = [0.0] * (end + 1), table[r - 1]
        for t in range(end - 1, -1, -1):
            then = discount**gap * fewer[min(end, t + gap)]
            row[t] = max(discount * row[t + 1], q[t] * (gain - cost) + (1 - q[t]) * (then - cost))
        table.append(row)
    return table


def best_hour(q: Sequence[float], tries: int, gap: int, gain: float, cost: float, discount: float) -> int | None:
    """The first hour at which to try is worth at least as much as to wait; None where no attempt is worth its cost."""
    table = values(q, tries, gap, gain, cost, discount)
    for t in range(len(q)):
        if table[tries][t] <= 0:
            return None
        if table[tries][t] > discount * table[tries][t + 1]:
            return t
    return None


def later(
    failed: Failed, permitted: Permitted, cells: Cells, chance: float, rules: Timetable | None = None
) -> Later | Stop:
    """By what was learned, once there is enough of it; by rules before, and always in the control arm.

    `chance` in [0, 1) is the payment's own and the same at each of its retries, so that a payment stays in its arm.
    """
    rules = rules or timetable()
    of = hopeful(failed, rules)
    if isinstance(of, Stop):
        return of
    enough = cells.get(of.name, (0.0, 0.0))[1] >= rules.learned_from and failed.margin_minor > 0
    if not enough:
        return by_rules(failed, permitted, rules)
    if chance < rules.control_share:
        step = by_rules(failed, permitted, rules)
        return step if isinstance(step, Stop) else Later(step.at, step.because, "rules", rules.control_share)
    tries = min(TRIES_LEFT_MAX, len(of.after_hours) + 1 - failed.tries)
    if tries <= 0:
        return Stop(f"{of.name} has {len(of.after_hours)} retries, and they are used up", Why.EXHAUSTED)
    at, q = failed.last_at + of.gap_hours * HOUR, list(slots(failed, cells, of, rules))
    best = best_hour(q, tries, of.gap_hours, failed.margin_minor, failed.cost_minor, DISCOUNT)
    if best is None:
        return Stop(
            f"{of.name}: no attempt before the deadline is worth {failed.cost_minor} minor units", Why.EXHAUSTED
        )
    chosen = at + best * HOUR
    why = f"{of.name}: approved with probability {q[best]:.2f} {(chosen - failed.first_at) // HOUR} hours"
    step = permitted_at(failed, permitted, chosen, lambda moment: moment, why)
    return step if isinstance(step, Stop) else Later(step.at, step.because, "learned", 1 - rules.control_share)


def slots(failed: Failed, cells: Cells, of: Class, rules: Timetable) -> Iterator[float]:
    """The hazard of each hour from the first allowed one to the deadline."""
    known: dict[Hour, float] = {}
    for at in range(failed.last_at + of.gap_hours * HOUR, failed.deadline + 1, HOUR):
        h = hour_of(failed, at, rules)
        if h not in known:
            known[h] = hazard(cells, of.name, h)
        yield known[h]
