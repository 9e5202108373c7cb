"""The same verdict as `allowed`, from counters that a database can keep and lock. Pure.

A counter belongs to a merchant, a card and a scope, like "declines" or "reattempts minor=1000 currency=EUR". It
holds no more than `MOST` moments: whether `most` are in a window is decided by the `most` latest. An attempt counts
from the moment it is recorded, so that two at once cannot both be the last; its end gives back what it did not use.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from scrooge.routing.schemes.allowed import verdict
from scrooge.routing.schemes.rules import EVER, Attempt, Limit, Refused, Rules, limits, meant, of_brand

MOST = 100  # Twice what any rule counts: room for attempts that are given back, and for rules not yet in force.


class Counter(Struct, frozen=True):
    """One scope's state. Moments are Unix microseconds, ascending.

    A scope that counts has `times` and, where it counts reattempts, the latest decline. A scope that stops has
    `until` (EVER: no end), the rule that says so and when the answer's attempt was sent.
    """

    times: tuple[int, ...] = ()
    declined_at: int | None = None
    until: int | None = None
    rule: str = ""
    sent_at: int = 0


class Admitted(Struct, frozen=True, tag=True):
    """`changed`: the counters to write in the transaction that records the attempt."""

    left: int | None
    changed: Mapping[str, Counter]


class Demand(Struct, frozen=True):
    """A limit asked of one counter; `binding`: in force now; else it is only counted, because it begins soon."""

    scope: str
    limit: Limit
    binding: bool


EMPTY = Counter()


def scope_of(what: str, same: tuple[str, ...], attempt: Attempt) -> str:
    return " ".join([what, *(f"{name}={getattr(attempt, name)}" for name in same)])


def demands(rules: Rules, attempt: Attempt) -> Iterator[Demand]:
    for limit in limits(rules, attempt.brand, attempt.region):
        # A rule looks back one window, and whether what it finds there were reattempts depends on one window more.
        if limit.in_force(attempt.at, ahead=2 * limit.window):
            yield Demand(scope_of(limit.measure, limit.same, attempt), limit, limit.in_force(attempt.at))


def stopping(rules: Rules, attempt: Attempt) -> dict[str, bool]:
    """The scopes in which an answer can stop this attempt, and whether the payer's own approval lifts it."""
    stops = rules.stops[of_brand(rules, attempt.brand)]
    return {stop_scope(refuses, lifted, same, attempt): lifted for refuses, lifted, same in stops}


def stop_scope(refuses: str, lifted: bool, same: tuple[str, ...], attempt: Attempt) -> str:
    return scope_of(f"stop:{refuses}{':lifted' if lifted else ''}", same, attempt)


def scopes(rules: Rules, attempt: Attempt) -> set[str]:
    """Whose rows the recording and the applying transaction lock, in sorted order."""
    return {d.scope for d in demands(rules, attempt)} | set(stopping(rules, attempt))


def admit(rules: Rules, counters: Mapping[str, Counter], attempt: Attempt) -> Admitted | Refused:
    """`counters` are those of the merchant and card, by scope; one that is missing is empty."""
    found = list(stopped(rules, counters, attempt))
    left: int | None = None
    windows: dict[str, int] = {}
    for d in demands(rules, attempt):
        windows[d.scope] = max(windows.get(d.scope, 0), d.limit.window)
        if not d.binding:
            continue
        c = counters.get(d.scope, EMPTY)
        room = verdict(d.limit, c.times, counts(d.limit, c, attempt.at), attempt.at)
        if isinstance(room, Refused):
            found.append(room)
        else:
            left = room if left is None else min(left, room)
    if found:
        return max(found, key=lambda r: EVER if r.until is None else r.until)
    return Admitted(left, {s: counted(counters.get(s, EMPTY), s, w, attempt.at) for s, w in windows.items()})


def counts(limit: Limit, c: Counter, at: int) -> bool:
    return limit.measure == "declines" or again(c, limit.window, at)


def again(c: Counter, window: int, at: int) -> bool:
    return c.declined_at is not None and at - c.declined_at <= window


def counted(c: Counter, scope: str, window: int, at: int) -> Counter:
    """With one attempt more, whose end is not known."""
    times = tuple(t for t in c.times if t >= at - window)
    if scope.startswith("declines"):
        return Counter(tuple(sorted((*times, at)))[-MOST:])
    if again(c, window, at):
        times = tuple(sorted((*times, at)))[-MOST:]
    return Counter(times, max(at, c.declined_at or at))


def stopped(rules: Rules, counters: Mapping[str, Counter], attempt: Attempt) -> Iterator[Refused]:
    for scope in stopping(rules, attempt):
        c = counters.get(scope, EMPTY)
        if c.until is None or c.until < attempt.at:
            continue
        if scope.startswith(("stop:all", f"stop:{attempt.initiator}")):
            yield Refused(c.rule, None if c.until == EVER else c.until + 1, f"{c.rule}: the issuer's answer")


def conclude(
    rules: Rules,
    counters: Mapping[str, Counter],
    attempt: Attempt,
    outcome: str,
    network_code: str | None = None,
    advice_code: str | None = None,
    answered: int | None = None,
) -> Mapping[str, Counter]:
    """The counters that an end changes; `attempt` as it was admitted, `outcome` as in `Past`."""
    if outcome == "declined":
        return stops(rules, counters, attempt, network_code, advice_code, answered or attempt.at)
    if outcome not in ("approved", "rejected"):
        return {}
    changed: dict[str, Counter] = {}
    for scope in {d.scope for d in demands(rules, attempt)} & set(counters):
        c = counters[scope]
        if scope.startswith("declines") or outcome == "rejected":
            c = structs.replace(c, times=without(c.times, attempt.at))
        if outcome == "approved" and c.declined_at is not None and c.declined_at <= attempt.at:
            c = structs.replace(c, declined_at=None)
        changed[scope] = c
    if outcome == "approved" and attempt.initiator == "customer":
        for scope, lifted in stopping(rules, attempt).items():
            if lifted and (c := counters.get(scope)) and c.sent_at <= attempt.at:
                changed[scope] = EMPTY
    return changed


def stops(
    rules: Rules,
    counters: Mapping[str, Counter],
    attempt: Attempt,
    network_code: str | None,
    advice_code: str | None,
    answered: int,
) -> dict[str, Counter]:
    changed: dict[str, Counter] = {}
    for row in meant(rules, attempt, attempt.acquirer, answered, network_code, advice_code):
        if row.refuses != "none":
            scope = stop_scope(row.refuses, row.lifted, row.same, attempt)
            before = changed.get(scope) or counters.get(scope, EMPTY)
            sent_at = max(before.sent_at, attempt.at)
            if before.until is None or before.until < row.ends(answered):
                before = Counter(until=row.ends(answered), rule=row.rule)
            changed[scope] = structs.replace(before, sent_at=sent_at)
    return changed


def without(times: tuple[int, ...], at: int) -> tuple[int, ...]:
    """One of them goes, however many attempts shared the microsecond."""
    if at not in times:
        return times
    n = times.index(at)
    return times[:n] + times[n + 1 :]


def expired(scope: str, counter: Counter, at: int, longest: int) -> bool:
    """Whether the row says nothing any more and may go; `longest` is the longest window of any rule."""
    if counter.until is not None:
        return counter.until < at
    latest = max((*counter.times, counter.declined_at or 0), default=0)
    return latest < at - longest
