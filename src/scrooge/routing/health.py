"""Is an account well? Cumulative sums over outcomes notice when it is not, and it is not chosen until it is. Pure.

This is about new authorizations and nothing else: whoever captures, refunds, voids or asks what became of an attempt
goes to the account that has it, and never asks here.
"""

import math
from collections import deque
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, structs

from scrooge.routing.blame import EVERYTHING, Key, Signal, Trail, Witness, blame
from scrooge.routing.facts import Facts
from scrooge.routing.lessons import Heard, Lesson

SECOND = 1_000_000
Seconds = Annotated[float, Meta(ge=0.01, le=86_400)]
REMEMBERED = 5000  # outcomes to look back on when something is wrong


class State(StrEnum):
    """What an account may be given. Nothing here keeps anybody from finishing what was begun there."""

    ON = "on"
    DRAIN = "drain"  # no new payments, but now and then one that finds out whether it is well again
    OFF = "off"  # no new payments


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rates are parts of one. `alarm` is how sure one must be: false alarms are e^alarm outcomes apart, or more.

    `technical`: failures that are usual, `technical_bad`: those that are too many. `drop`: how much an approval rate
    must fall to be noticed. After `pause_seconds`, doubled up to `pause_most`, an account is tried again; after
    `recover` good outcomes it is on. `probe_seconds` lie between two tries.
    """

    technical: Annotated[float, Meta(ge=0.0001, le=0.5)] = 0.01
    technical_bad: Annotated[float, Meta(ge=0.001, le=0.99)] = 0.25
    drop: Annotated[float, Meta(ge=0.01, le=0.9)] = 0.2
    alarm: Annotated[float, Meta(ge=1, le=100)] = 9.2
    pause_seconds: Seconds = 15.0
    pause_most: Seconds = 300.0
    probe_seconds: Seconds = 3.0
    recover: Annotated[int, Meta(ge=1, le=1000)] = 4


DEFAULT = Settings()


class Trouble(Struct, frozen=True, kw_only=True):
    """What is wrong with an account, with all of its payments or a segment of them. `owner` "": with everybody's."""

    owner: str
    key: Key
    signal: Signal
    since: int
    tried_at: int  # when the next payment may find out
    pause: float  # seconds
    good: int = 0

    @property
    def state(self) -> State:
        return State.DRAIN

    @property
    def reason(self) -> str:
        where = " ".join(self.key) or "all payments"
        what = "technical failures" if self.signal is Signal.TECHNICAL else "approvals have dropped"
        return f"{what} ({where})"


class Sum(Struct):
    """A cumulative sum that starts again at nothing, and since when it has not."""

    value: float = 0.0
    since: int = 0


class Latency(Struct):
    """Seconds from asking to the answer: a moving average, and that of the distance from it (as in RFC 6298)."""

    mean: float = 0.0
    spread: float = 0.0
    seen: int = 0


def segments(facts: Facts) -> tuple[Key, ...]:
    """What may be unwell by itself, from the widest to the narrowest."""
    found: list[Key] = [EVERYTHING]
    if facts.brand:
        found.append(("brand", facts.brand))
    if facts.country:
        found.append(("country", facts.country))
    if facts.issuer:
        found.append(("issuer", facts.issuer, facts.country))
    return tuple(found)


class Health:
    """Mutable; the same for the same outcomes in the same order."""

    def __init__(self, settings: Settings = DEFAULT) -> None:
        self.settings = settings
        self.sums: dict[tuple[Signal, str, Key], Sum] = {}
        self.seen: dict[Signal, deque[Witness]] = {s: deque(maxlen=REMEMBERED) for s in Signal}
        self.troubles: dict[str, dict[Key, Trouble]] = {}
        self.shared: dict[Key, Trouble] = {}  # the issuers' own: nothing to route around, but worth saying
        self.relapses: dict[tuple[str, Key], tuple[int, float]] = {}
        self.latencies: dict[str, Latency] = {}
        s = settings
        self.technical = (math.log((1 - s.technical_bad) / (1 - s.technical)), math.log(s.technical_bad / s.technical))

    def trouble(self, account: str, facts: Facts) -> Trouble | None:
        """What is wrong with this account for this payment, the widest first."""
        known = self.troubles.get(account)
        if not known:
            return None
        return next((known[key] for key in segments(facts) if key in known), None)

    def may_probe(self, trouble: Trouble, at: int) -> bool:
        return at >= trouble.tried_at

    def probed(self, trouble: Trouble, at: int) -> None:
        """A payment is on its way to find out; the next one waits a while."""
        self.change(trouble, tried_at=at + int(self.settings.probe_seconds * SECOND))

    def learn(
        self, facts: Facts, account: str, heard: Heard, lesson: Lesson, expected: float, at: int
    ) -> Trouble | None:
        """`expected`: the approval rate that was to be expected of this payment. Returns a trouble that begins."""
        keys = segments(facts)
        failed = heard in {Heard.TECHNICAL, Heard.LATE}
        began = self.hear(Signal.TECHNICAL, Trail(account, keys), failed, self.settings.technical, self.technical, at)
        if not failed and lesson.weight >= 1.0:
            low, high = max(0.05, min(expected, 0.95)), max(0.02, min(expected, 0.95) - self.settings.drop)
            weights = (math.log(high / low), math.log((1 - high) / (1 - low)))
            trail = Trail(account, keys)
            began = self.hear(Signal.APPROVALS, trail, not lesson.approved, 1 - expected, weights, at) or began
        return began

    def hear(
        self, signal: Signal, trail: Trail, failed: bool, usual: float, weights: tuple[float, float], at: int
    ) -> Trouble | None:
        """Weigh one outcome in every sum that it is part of. `weights`: of a success and of a failure."""
        known = self.troubles.get(trail.account, {})
        current = next((known[key] for key in trail.keys if key in known and known[key].signal is signal), None)
        if current is not None:
            self.recovering(current, failed, at)
            return None
        self.seen[signal].append(Witness(trail.account, trail.keys, failed, usual, at))
        weight = weights[failed]
        loud = False
        for key in trail.keys:
            total = self.sums.get((signal, trail.account, key))
            if total is None:
                total = self.sums[signal, trail.account, key] = Sum(0.0, at)
            if total.value <= 0.0:
                total.since = at
            total.value = max(0.0, total.value + weight)
            loud = loud or total.value > self.settings.alarm
        return self.alarm(signal, trail, at) if loud else None

    def alarm(self, signal: Signal, trail: Trail, at: int) -> Trouble:
        """Name the widest scope that explains it; stop using it there, unless everybody's payments fail like it."""
        sums = {key: self.sums[signal, trail.account, key] for key in trail.keys}
        since = min(s.since for s in sums.values() if s.value > self.settings.alarm)
        owner, key = blame(trail, self.seen[signal], since)
        for total in sums.values():
            total.value = 0.0
        last, pause = self.relapses.get((owner, key), (0, 0.0))
        soon = at - last < 4 * self.settings.pause_most * SECOND
        pause = min(self.settings.pause_most, 2 * pause) if soon and pause else self.settings.pause_seconds
        tried_at = at + int(pause * SECOND)
        trouble = Trouble(owner=owner, key=key, signal=signal, since=at, tried_at=tried_at, pause=pause)
        if owner:
            self.troubles.setdefault(owner, {})[key] = trouble
        else:
            self.shared[key] = trouble
        return trouble

    def recovering(self, trouble: Trouble, failed: bool, at: int) -> None:
        """What was asked before the trouble began says nothing of its end, and answers that come early are of those."""
        if at < trouble.since + SECOND:
            return
        if failed:
            pause = min(self.settings.pause_most, trouble.pause * 2) if at >= trouble.tried_at else trouble.pause
            self.change(trouble, good=0, pause=pause, tried_at=max(trouble.tried_at, at + int(pause * SECOND)))
        elif trouble.good + 1 >= self.settings.recover:
            del self.troubles[trouble.owner][trouble.key]
            self.relapses[trouble.owner, trouble.key] = at, trouble.pause
        else:
            self.change(trouble, good=trouble.good + 1, tried_at=at)

    def change(self, trouble: Trouble, **facts: float) -> None:
        known = self.troubles.get(trouble.owner, {})
        if trouble.key in known:
            known[trouble.key] = structs.replace(known[trouble.key], **facts)

    def took(self, account: str, seconds: float) -> None:
        """An answer came after this long."""
        found = self.latencies.setdefault(account, Latency())
        rate = max(0.02, 1 / (found.seen + 1))
        found.spread += rate * (abs(seconds - found.mean) - found.spread) if found.seen else seconds / 2
        found.mean += rate * (seconds - found.mean)
        found.seen += 1

    def seconds(self, account: str) -> float:
        found = self.latencies.get(account)
        return found.mean if found else 0.0

    def late_after(self, account: str) -> float:
        """Seconds without an answer that are rare enough to be called late."""
        found = self.latencies.get(account)
        return 10.0 if found is None or found.seen < 20 else max(0.5, found.mean + 6 * found.spread)
