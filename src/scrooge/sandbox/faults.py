"""Faults that callers turn on: which request or notification each one strikes is drawn by seed."""

from random import Random

import msgspec

# What each kind does is told in docs/sandbox.md; the wire applies the first group, the
# notifier the second, the dialects the third.
WIRE = (
    "drop_request",
    "charge_then_drop",
    "charge_then_500",
    "500_before",
    "slow",
    "reset_midway",
    "garbage",
    "wrong_amount",
    "echo_card",
    "broken_idempotency",
    "outage",
)
NEWS = (
    "duplicate_notification",
    "late_notification",
    "reordered_notifications",
    "lost_notification",
)
LOOKUPS = ("inquiry_lag",)
KINDS = WIRE + NEWS + LOOKUPS

# Milliseconds, where a fault waits and its caller did not say how long.
DELAYS_MS = {
    "slow": 20_000.0,
    "late_notification": 10_000.0,
    "reordered_notifications": 2_000.0,
    "inquiry_lag": 5_000.0,
}


class BadFault(ValueError):
    """The fault asked for is not one; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field, self.detail = field, detail


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fault that is on: `rate` of the occasions (0 to 1), drawn from `seed`."""

    connector: str
    kind: str
    rate: float
    seed: int = 0
    delay_ms: float | None = None


def read_fault(raw: object, connectors: tuple[str, ...]) -> Fault:
    """The fault described by a JSON object; raises BadFault naming the field that is wrong."""
    if not isinstance(raw, dict):
        raise BadFault("body", "must be a JSON object")
    if unknown := sorted(set(raw) - set(Fault.__struct_fields__)):
        raise BadFault(str(unknown[0]), "is not a field of a fault")
    connector, kind, rate = raw.get("connector"), raw.get("kind"), raw.get("rate", 1.0)
    seed, delay_ms = raw.get("seed", 0), raw.get("delay_ms")
    if not isinstance(connector, str) or connector not in (*connectors, "*"):
        raise BadFault("connector", f"must be one of {', '.join(connectors)} or *")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadFault("kind", f"must be one of {', '.join(KINDS)}")
    if not _is_number(rate) or not 0 <= rate <= 1:
        raise BadFault("rate", "must be a number from 0 to 1")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise BadFault("seed", "must be an integer")
    if delay_ms is not None and (not _is_number(delay_ms) or not 0 <= delay_ms <= 3_600_000):
        raise BadFault("delay_ms", "must be milliseconds, at most an hour")
    return Fault(connector, kind, float(rate), seed, delay_ms)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Faults:
    """The faults that are on, each with its own generator, and how often each has struck."""

    def __init__(self) -> None:
        self._on: dict[tuple[str, str], tuple[Fault, Random]] = {}
        self.struck: dict[tuple[str, str], int] = {}

    def set(self, fault: Fault) -> None:
        """Turn a fault on, replacing the one of the same connector and kind."""
        # A seeded generator is the point: the same seed strikes the same occasions.
        self._on[fault.connector, fault.kind] = fault, Random(fault.seed)  # noqa: S311

    def clear(self) -> None:
        """Turn every fault off."""
        self._on.clear()

    def listed(self) -> list[Fault]:
        """The faults that are on."""
        return [fault for fault, _ in self._on.values()]

    def strikes(self, connector: str, kind: str) -> Fault | None:
        """The fault if it strikes on this occasion; every call is an occasion."""
        if not self._on:
            return None
        for whose in (connector, "*"):
            fault, draw = self._on.get((whose, kind), (None, None))
            if fault is not None and draw is not None and draw.random() < fault.rate:
                self.struck[connector, kind] = self.struck.get((connector, kind), 0) + 1
                return fault
        return None

    def delay_seconds(self, fault: Fault) -> float:
        """How long this fault waits."""
        ms = DELAYS_MS.get(fault.kind, 0.0) if fault.delay_ms is None else fault.delay_ms
        return ms / 1000
