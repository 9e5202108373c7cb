"""What is crossed with what: every pair of the six dimensions, less the pairs that cannot be, each with its reason."""

import itertools
from collections.abc import Iterator
from random import Random

from msgspec import Struct

from scrooge import crash
from scrooge.sandbox.faults import KINDS

OPERATIONS = (
    "authorize",
    "sale",
    "capture",
    "void",
    "refund",
    "increment",
    "verify",
    "continuation",
    "cascade",
    "fresh",
)
BEHAVIORS = ("normal", "decline", "challenge", *KINDS)
CLIENTS = ("waits", "retries", "copies", "gives_up", "new_key")
CONNECTORS = ("stripe", "adyen")
CARDS = ("token", "card", "coded")  # the payer's means: a PSP's token, a card of the vault, one with a security code
VAULT = ("vault.grant.before", "vault.grant.after", "vault.send.written", "vault.send.after")
# The worker reaches points of the road too, when it asks and applies.
RETURNS = ("reverse.before", "reverse.after")
WORKER = ("resolve.claimed", "resolve.applied", "receive.claimed", "receive.applied", "webhook.claimed", "webhook.sent",
          *RETURNS)  # fmt: skip
SHARED = ("send.before", "send.written", "send.after", "apply.before", "apply.after", "commit.before", "commit.after")
# Not of the road that money takes: tests/instruments dies there, tests/vault/test_moving.py, tests/flows/test_retries_raced.py
# tests/flows/test_recovery_crashes.py, tests/flows/test_splits_crashes.py and tests/stored_value/test_crashes.py.
BESIDE = frozenset({"forget.before", "forget.written", "forget.after", "errand.claimed", "errand.done",
                    "learn.written", "learn.after", "move.before", "move.after", "move.recorded",
                    "retry.claimed", "recovery.looked", "recovery.found", "intake.before", "intake.after", "intake.checked", "batch.claimed", "batch.ended",
                    "batch.noted", "batch.counted", "split.before", "split.after", "split.step", "split.decided",
                    "split.ordered", "split.settled", "split.claimed", "stored.before", "stored.after"})  # fmt: skip
OF_PAYMENTS = tuple(point for point in crash.POINTS if point not in BESIDE)
POINTS = (*OF_PAYMENTS, *(f"worker {point}" for point in SHARED))
DIMENSIONS = {
    "point": POINTS, "operation": OPERATIONS, "behavior": BEHAVIORS, "client": CLIENTS, "connector": CONNECTORS,
    "card": CARDS,
}  # fmt: skip
MODIFICATIONS = {"capture", "void", "refund", "increment"}


class Cell(Struct, frozen=True):
    """A process dies at `point` while `operation` is in flight, under a PSP's and a client's behavior."""

    point: str
    operation: str
    behavior: str
    client: str
    connector: str
    card: str = "token"

    def __str__(self) -> str:
        return " / ".join((self.point, self.operation, self.behavior, self.client, self.connector, self.card))


def by_worker(point: str) -> bool:
    return point in WORKER or point.startswith("worker ")


NOWHERE = "a card that one PSP declines, the other declines"
# (dimension, values), (dimension, values): why such a cell cannot be.
IMPOSSIBLE = (
    ({"point": {"record.before", "record.after"}, "operation": {"continuation"}}, "it is recorded at continue.*"),
    ({"point": {"record.written"}, "operation": {"authorize", "sale", "verify", "cascade", "continuation"}},
     "recorded by one statement, or at continue.*"),
    ({"point": {"cascade.before", "cascade.after"}, "operation": set(OPERATIONS) - {"cascade"}}, "only a cascade does"),
    ({"point": {"continue.before", "continue.after"}, "operation": set(OPERATIONS) - {"continuation"}},
     "only a continuation does"),
    ({"point": set(RETURNS), "behavior": set(BEHAVIORS) - {"broken_idempotency"}},
     "only what a PSP took twice goes back"),
    ({"point": set(RETURNS), "operation": {*MODIFICATIONS, "verify", "continuation"}}, "no PSP here does that twice"),
    ({"operation": {"void"}, "behavior": {"decline"}}, "no PSP here declines a void of an open authorization"),
    ({"operation": MODIFICATIONS, "behavior": {"challenge"}}, "no payer takes part"),
    ({"operation": {"capture"}, "behavior": {"decline"}, "connector": {"stripe"}},
     "Stripe declines no capture of an open authorization"),
    ({"point": set(VAULT), "card": {"token"}}, "no vault is asked"),
    ({"point": set(VAULT), "operation": {*MODIFICATIONS, "continuation"}}, "only what authorizes carries a card"),
    ({"card": {"card", "coded"}, "operation": {"cascade", "fresh"}, "connector": {"adyen"}},
     "a card goes to the oldest account first"),
    ({"card": {"card", "coded"}, "operation": {"cascade"}, "behavior": {"challenge"}}, NOWHERE),
    ({"card": {"card", "coded"}, "operation": {"cascade"}, "point": set(RETURNS)}, NOWHERE),
    ({"card": {"coded"}, "behavior": {"lost_notification"}, "connector": {"adyen"}},
     "a request that nobody can repeat is reversed there, and only a notification tells of that"),
    ({"card": {"coded"}, "point": set(RETURNS)},
     "the vault tells an answer again instead of sending a code again: only by chance is a PSP asked twice"),
    ({"point": {"receive.claimed", "receive.applied"}, "behavior": {"challenge"}, "client": {"gives_up"},
      "operation": set(OPERATIONS) - MODIFICATIONS - {"continuation"}},
     "nobody authenticates, so there is nothing of which a PSP notifies"),
)  # fmt: skip


def why_not(cell: dict[str, str]) -> str | None:
    """Why these values, which may be a part of a cell's, cannot meet; None when they can."""
    for values, reason in IMPOSSIBLE:
        if all(cell.get(dimension) in allowed for dimension, allowed in values.items()):
            return reason
    return None


Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(values: dict[str, str]) -> Iterator[Pair]:
    yield from itertools.combinations(values.items(), 2)


def all_pairs() -> tuple[set[Pair], dict[Pair, str]]:
    """(pairs to cover, pairs that cannot be with their reasons)."""
    due: set[Pair] = set()
    never: dict[Pair, str] = {}
    for (a, us), (b, them) in itertools.combinations(DIMENSIONS.items(), 2):
        for x, y in itertools.product(us, them):
            reason = why_not({a: x, b: y})
            if reason is None:
                due.add(((a, x), (b, y)))
            else:
                never[(a, x), (b, y)] = reason
    return due, never


def covering(seed: int) -> list[Cell]:
    """Cells that together hold every possible pair of values. Greedy, and the same for the same seed."""
    draw = Random(seed)
    missing, _ = all_pairs()
    cells = []
    for pair in sorted(missing):
        if pair not in missing:
            continue
        best = max((completed(pair, draw) for _ in range(40)), key=lambda c: sum(p in missing for p in pairs_of(c)))
        missing.difference_update(pairs_of(best))
        cells.append(Cell(**best))
    return cells


def completed(pair: Pair, draw: Random) -> dict[str, str]:
    """A whole cell around a pair, drawn at random."""
    while True:
        cell = {name: dict(pair).get(name) or draw.choice(values) for name, values in DIMENSIONS.items()}
        if why_not(cell) is None:
            return cell
