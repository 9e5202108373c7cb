"""The same verdict as `allowed`, from counters that a database can keep and lock. Pure.

A counter belongs to a merchant, a card and a scope, like "declines" or "reattempts minor=1000 currency=EUR". It
holds no more than `MOST` moments: whether `most` are in a window is decided by the `most` latest. An attempt counts
from the moment it is recorded, so that two at once cannot both be the last; its end gives back what it did not use.
No moment goes because of its age: whose clock would say how old it is?
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, structs

from scrooge.routing.schemes.allowed import verdict
from scrooge.routing.schemes.rules import EVER, Attempt, Limit, Refused, Rules, limits, meant, of_brand

# More than twice what any rule counts: room for attempts that are given back, for approvals between declines, and for
# rules not yet in force.
MOST = 100


class Counter(Struct, frozen=True):
    """One scope's state. Moments are Unix microseconds, ascending.

    A scope that counts has `times`: of declines, those that were or may yet be declined. Where it counts reattempts,
    those of all attempts that an issuer heard of, and which of them were `approved`: what comes after an approval is
    no reattempt, however late one hears of it. A scope that stops has `until` (EVER: no end), the rule that says so
    and when the answer's attempt was sent.
    """

    times: tuple[int, ...] = ()
    approved: tuple[bool, ...] = ()
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
    scopes_met: dict[str, None] = {}
    for d in demands(rules, attempt):
        scopes_met[d.scope] = None
        if not d.binding:
            continue
        c = counters.get(d.scope, EMPTY)
        room = verdict(d.limit, *moments(d.limit, c, attempt.at), attempt.at)
        if isinstance(room, Refused):
            found.append(room)
        else:
            left = room if left is None else min(left, room)
    if found:
        return max(found, key=lambda r: EVER if r.until is None else r.until)
    return Admitted(left, {s: counted(counters.get(s, EMPTY), s, attempt.at) for s in scopes_met})


def moments(limit: Limit, c: Counter, at: int) -> tuple[Sequence[int], bool]:
    """Those that count for the limit, and whether an attempt now would be one more."""
    if limit.measure == "declines":
        return c.times, True
    follows = zip(c.times, c.approved, c.times[1:], strict=False)
    again = [t for before, approved, t in follows if not approved and t - before <= limit.window]
    return again, bool(c.times) and not c.approved[-1] and at - c.times[-1] <= limit.window


def counted(c: Counter, scope: str, at: int) -> Counter:
    """With one attempt more, whose end is not known."""
    times, approved = c.times[-MOST + 1 :], c.approved[-MOST + 1 :]
    n = bisect_right(times, at)
    if scope.startswith("declines"):
        return Counter((*times[:n], at, *times[n:]))
    return Counter((*times[:n], at, *times[n:]), (*approved[:n], False, *approved[n:]))


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
        declines = scope.startswith("declines")
        c = ended(counters[scope], attempt.at, back=declines or outcome == "rejected")
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


def ended(c: Counter, at: int, *, back: bool) -> Counter:
    """One attempt of that moment, however many shared the microsecond, is taken `back`, or was approved."""
    n = next((n for n, t in enumerate(c.times) if t == at and not any(c.approved[n : n + 1])), None)
    if n is None:
        return c
    if back:
        return plain(Counter(c.times[:n] + c.times[n + 1 :], c.approved[:n] + c.approved[n + 1 :]))
    return plain(Counter(c.times, (*c.approved[:n], True, *c.approved[n + 1 :])))


def plain(c: Counter) -> Counter:
    """Without the approvals that say nothing: those after another, or before everything."""
    if not c.approved:
        return c
    kept = [n for n, approved in enumerate(c.approved) if not approved or (n and not c.approved[n - 1])]
    return Counter(tuple(c.times[n] for n in kept), tuple(c.approved[n] for n in kept))


def expired(scope: str, counter: Counter, at: int, longest: int) -> bool:
    """Whether the row says nothing any more and may go; `longest` is the longest window of any rule."""
    if counter.until is not None:
        return counter.until < at
    return max(counter.times, default=0) < at - longest
