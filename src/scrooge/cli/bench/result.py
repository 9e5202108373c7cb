"""What was measured: rounds, and what they come to. Medians, with the least and the most beside them."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Round(Struct, kw_only=True):
    """One round of payments through everything. Milliseconds; CPU of each kind of process per payment."""

    payments: int
    payments_per_second: float
    latency_ms: dict[str, float]
    overhead_ms: dict[str, float]
    cpu_ms_per_payment: dict[str, float]
    commits_per_payment: float
    wal_kb_per_payment: float
    errors: dict[str, int]


class LimitRound(Struct, kw_only=True):
    """One round of the limit."""

    payments_per_second: float
    latency_ms: float
    cpu_ms_per_payment: dict[str, float]


def percentiles(seconds: Iterable[float], names: Sequence[str] = ("p50", "p95", "p99")) -> dict[str, float]:
    """In milliseconds; nothing for nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {name: round(ordered[min(last, int(PERCENTILES[name] * len(ordered)))] * 1000, 2) for name in names}


def per_payment(cpu_seconds: dict[str, float], payments: int) -> dict[str, float]:
    return {name: round(seconds * 1000 / max(1, payments), 4) for name, seconds in cpu_seconds.items()}


def middle(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4) if values else 0.0


def middles(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each name, over those rounds that have it."""
    names = dict.fromkeys(name for one in found for name in one)
    return {name: middle([one[name] for one in found if name in one]) for name in names}


def summed(found: Sequence[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in found for name in one)
    return {name: sum(one.get(name, 0) for one in found) for name in names}


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Several rounds as one: medians, and the spread of what matters most."""
    speeds = [r.payments_per_second for r in rounds]
    return {
        "payments_per_second": middle(speeds),
        "spread": [round(min(speeds), 1), round(max(speeds), 1)],
        "latency_ms": middles([r.latency_ms for r in rounds]),
        "overhead_ms": middles([r.overhead_ms for r in rounds]),
        "cpu_ms_per_payment": middles([r.cpu_ms_per_payment for r in rounds]),
        "commits_per_payment": middle([r.commits_per_payment for r in rounds]),
        "wal_kb_per_payment": middle([r.wal_kb_per_payment for r in rounds]),
        "errors": summed([r.errors for r in rounds]),
        "payments": sum(r.payments for r in rounds),
        "rounds": [r.payments_per_second for r in rounds],
    }


def limit_summary(rounds: Sequence[LimitRound]) -> dict[str, Any]:
    speeds = [r.payments_per_second for r in rounds]
    return {
        "payments_per_second": middle(speeds),
        "spread": [round(min(speeds), 1), round(max(speeds), 1)],
        "latency_ms": middle([r.latency_ms for r in rounds]),
        "cpu_ms_per_payment": middles([r.cpu_ms_per_payment for r in rounds]),
        "rounds": speeds,
    }
