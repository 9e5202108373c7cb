"""What is kept of a decision for ever: small, bounded, and enough to judge it and its rivals later. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from scrooge.routing.decision import Decision, Score
from scrooge.routing.facts import UNKNOWN, Facts

NAMES_MOST = 32  # scores, exclusions and rules that are kept of one decision; how many more there were is said
WORDS_MOST = 160
# These the payment's own row says.
ELSEWHERE = frozenset({"merchant", "caller", "currency", "minor", "at", "needs"})


class Scored(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account that could be tried. Without a policy nothing was scored."""

    account: str
    name: str
    value: float | None = None
    share: float | None = None
    approval: float | None = None
    doubt: float | None = None
    cost_nano: int | None = None
    waiting: float | None = None
    steering: float | None = None
    probe: bool = False


class Took(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the first attempt went. `propensity`: how likely that was, given that those passed over had no room."""

    account: str
    propensity: float
    passed: Mapping[str, str] = {}


class Recorded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`accounts` in the order in which to try; `propensity` is that of the first of them."""

    policy: str
    way: str
    because: str
    propensity: float
    took: Took | None = None  # none: nobody could take it
    accounts: tuple[Scored, ...]
    facts: Mapping[str, str] = {}
    excluded: Mapping[str, str] = {}
    rules: tuple[str, ...] = ()
    left_out: int = 0  # names that were too many to keep
    risk: Any = None  # what was checked before: risk/record.py
    at: int


def recorded(decision: Decision, facts: Facts, account: str | None, passed: Mapping[str, str], risk: Any = None) -> Raw:
    """As JSON. `account` is where the first attempt goes, if any does; `passed`: those before it, and why not there."""
    scores, excluded = decision.scores, decision.excluded
    most = Recorded(
        policy=decision.policy,
        way=decision.way,
        because=decision.because[:WORDS_MOST],
        propensity=rounded(decision.propensity),
        took=took(scores, account, passed) if account is not None else None,
        accounts=tuple(scored(s, decision.way) for s in scores[:NAMES_MOST]),
        facts=known(facts),
        excluded={name: why[:WORDS_MOST] for name, why in list(excluded.items())[:NAMES_MOST]},
        rules=decision.rules[:NAMES_MOST],
        left_out=sum(max(0, len(some) - NAMES_MOST) for some in (scores, excluded, decision.rules)),
        risk=risk,
        at=decision.at,
    )
    return Raw(msgspec.json.encode(most))


def took(scores: Sequence[Score], account: str, passed: Mapping[str, str]) -> Took:
    names = {s.account: s.name for s in scores}
    return Took(
        account=account,
        propensity=rounded(taken(scores, account, passed)),
        passed={names[a]: why[:WORDS_MOST] for a, why in list(passed.items())[:NAMES_MOST]},
    )


def taken(scores: Sequence[Score], account: str, passed: Mapping[str, str]) -> float:
    """The first is drawn and the others follow in their order. So whoever comes after those that had no room was first
    when it was drawn itself, or when one of those was."""
    shares = {s.account: s.share for s in scores}
    return min(1.0, shares.get(account, 0.0) + sum(shares.get(a, 0.0) for a in passed))


def scored(s: Score, way: str) -> Scored:
    if way == "given":
        return Scored(account=s.account, name=s.name, cost_nano=s.cost_nano or None)
    return Scored(
        account=s.account, name=s.name, value=rounded(s.value), share=rounded(s.share), approval=rounded(s.approval),
        doubt=rounded(s.doubt), cost_nano=s.cost_nano, waiting=rounded(s.waiting), steering=rounded(s.steering),
        probe=s.probe,
    )  # fmt: skip


def rounded(number: float) -> float:
    """Six digits are more than anything here is worth."""
    return float(f"{number:.6g}")


def known(facts: Facts) -> dict[str, str]:
    """The facts that were known, without those that are the payment's own."""
    named = {name: getattr(facts, name) for name in facts.__struct_fields__ if name not in ELSEWHERE}
    return {name: value for name, value in named.items() if value != UNKNOWN}


def facts_of(record: Raw | bytes | str, **own: Any) -> Facts:
    """The facts of a decision that was kept; `own` are the payment's. Raises msgspec.ValidationError."""
    return msgspec.convert({**msgspec.json.decode(record, type=WithFacts).facts, **own}, Facts)


class WithFacts(Struct, frozen=True):
    facts: dict[str, str] = {}
