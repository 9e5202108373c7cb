"""Whether the schemes allow an attempt, from all that was tried before with the same merchant and card. Pure.

`counters` does the same from what a database keeps; this is the rule's meaning, and what plans ask.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from scrooge.routing.schemes.rules import EVER, Answer, Attempt, Limit, Refused, Rules, limits, meant


class Past(Struct, frozen=True, kw_only=True):
    """An earlier attempt. `open`: not known yet, which counts as declined; `rejected`: no issuer heard of it."""

    at: int
    minor: int
    currency: str
    initiator: Literal["customer", "merchant"]
    outcome: Literal["open", "approved", "declined", "rejected"]
    network_code: str | None = None
    advice_code: str | None = None
    acquirer: str = ""
    answered: int | None = None  # when the answer came; `at` when None


class Allowed(Struct, frozen=True, tag=True):
    """`left`: how many the tightest limit has left, this attempt among them; None where no limit is in force."""

    left: int | None


def allowed(rules: Rules, history: Sequence[Past], attempt: Attempt) -> Allowed | Refused:
    """Of several refusals the one that ends last."""
    past = sorted(history, key=sent)
    found = stops(rules, past, attempt)
    left: int | None = None
    for limit in limits(rules, attempt.brand, attempt.region):
        if limit.in_force(attempt.at):
            same = [p for p in past if together(limit.same, p, attempt)]
            times, counts = (tried_again if limit.measure == "reattempts" else declines)(same, limit, attempt.at)
            room = verdict(limit, times, counts, attempt.at)
            if isinstance(room, Refused):
                found.append(room)
            else:
                left = room if left is None else min(left, room)
    return max(found, key=lambda r: EVER if r.until is None else r.until) if found else Allowed(left)


def sent(past: Past) -> int:
    return past.at


def together(same: tuple[str, ...], past: Past, attempt: Attempt) -> bool:
    return all(getattr(past, name) == getattr(attempt, name) for name in same)


def declines(past: list[Past], limit: Limit, at: int) -> tuple[list[int], bool]:
    """The moments that count, and whether an attempt now would be one more."""
    return [p.at for p in past if p.outcome in ("open", "declined")], True


def tried_again(past: list[Past], limit: Limit, at: int) -> tuple[list[int], bool]:
    times: list[int] = []
    declined_at: int | None = None
    for p in past:
        if p.outcome == "rejected":
            continue
        if declined_at is not None and p.at - declined_at <= limit.window:
            times.append(p.at)
        declined_at = None if p.outcome == "approved" else p.at
    return times, declined_at is not None and at - declined_at <= limit.window


def verdict(limit: Limit, times: Sequence[int], counts: bool, at: int) -> int | Refused:
    """How many are left; `times` ascending. The window is closed: exactly 24 hours after is still within 24 hours."""
    within = [t for t in times if t >= at - limit.window]
    if not counts or len(within) < limit.most:
        return limit.most - len(within)
    until = within[-limit.most] + limit.window + 1
    what = f"{limit.most} {limit.measure} in {limit.hours} hours"
    return Refused(limit.rule, until, f"{limit.rule}: {what} are used up ({limit.source})")


def stops(rules: Rules, past: list[Past], attempt: Attempt) -> list[Refused]:
    """What earlier answers forbid."""
    found: list[Refused] = []
    for n, p in enumerate(past):
        if p.outcome != "declined" or not (p.network_code or p.advice_code):
            continue
        answered = p.answered or p.at
        for row in meant(rules, attempt, p.acquirer, answered, p.network_code, p.advice_code):
            concerns = forbids(row, attempt.initiator) and together(row.same, p, attempt)
            if concerns and row.ends(answered) >= attempt.at and not (row.lifted and consented(past[n:])):
                found.append(stop(row, row.ends(answered)))
    return found


def consented(past: list[Past]) -> bool:
    return any(p.outcome == "approved" and p.initiator == "customer" for p in past)


def forbids(row: Answer, initiator: str) -> bool:
    return row.refuses == "all" or row.refuses == initiator


def stop(row: Answer, ends: int) -> Refused:
    return Refused(row.rule, None if ends == EVER else ends + 1, f"{row.rule}: the issuer's answer ({row.source})")
