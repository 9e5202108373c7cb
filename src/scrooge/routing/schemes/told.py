"""What a database that counts by itself has to be told: of an attempt before it, and of its end. Pure.

`counters` decides with the counters at hand. Here nobody has them: the database holds and locks them, and is told the
limits, windows and stops that concern the attempt. Ends are told as changes that mean the same whatever was counted
since: take this moment back, forget the decline, stop until then.
"""

from msgspec import Struct

from scrooge.routing.schemes.counters import demands, stop_scope, stopping
from scrooge.routing.schemes.rules import Attempt, Rules, meant


class Count(Struct, frozen=True):
    """A scope in which the attempt counts. `again`: as one of a row, of which those that follow a decline are limited;
    `span`: the window, microseconds.
    """

    scope: str
    again: bool
    span: int


class Most(Struct, frozen=True):
    """A limit in force now: at most so many in the span."""

    scope: str
    again: bool
    most: int
    span: int
    rule: str


class Wanted(Struct, frozen=True):
    """`stops`: the scopes in which an earlier answer refuses this attempt."""

    counts: tuple[Count, ...]
    limits: tuple[Most, ...]
    stops: tuple[str, ...]


class End(Struct, frozen=True):
    """What the end of an attempt changes in one scope.

    `back`: its moment is taken out; `clear`: it was approved, so what came after it followed no decline; `lift`: a stop
    that was said about an attempt up to it ends; `until`: a stop by `rule`, up to and with this moment.
    """

    scope: str
    back: bool = False
    clear: bool = False
    lift: bool = False
    until: int | None = None
    rule: str = ""


def wanted(rules: Rules, attempt: Attempt) -> Wanted:
    counts: dict[str, Count] = {}
    limits: list[Most] = []
    for d in demands(rules, attempt):
        again, span = d.limit.measure == "reattempts", d.limit.window
        before = counts.get(d.scope)
        counts[d.scope] = Count(d.scope, again, max(span, before.span if before else 0))
        if d.binding:
            limits.append(Most(d.scope, again, d.limit.most, span, d.limit.rule))
    stops = (s for s in stopping(rules, attempt) if s.startswith(("stop:all", f"stop:{attempt.initiator}")))
    return Wanted(tuple(counts.values()), tuple(limits), tuple(stops))


def ends(
    rules: Rules,
    attempt: Attempt,
    outcome: str,
    network_code: str | None = None,
    advice_code: str | None = None,
    answered: int | None = None,
) -> tuple[End, ...]:
    """As `counters.conclude`, without the counters; `attempt` as it was recorded, `outcome` as in `Past`."""
    if outcome == "declined":
        said = answered or attempt.at
        rows = meant(rules, attempt, attempt.acquirer, said, network_code, advice_code)
        stops = [r for r in rows if r.refuses != "none"]
        return tuple(
            End(stop_scope(r.refuses, r.lifted, r.same, attempt), until=r.ends(said), rule=r.rule) for r in stops
        )
    if outcome not in ("approved", "rejected"):
        return ()
    approved = outcome == "approved"
    scopes = dict.fromkeys(d.scope for d in demands(rules, attempt))
    found = [End(s, back=s.startswith("declines") or not approved, clear=approved) for s in scopes]
    if approved and attempt.initiator == "customer":
        found += [End(s, lift=True) for s, lifted in stopping(rules, attempt).items() if lifted]
    return tuple(found)
