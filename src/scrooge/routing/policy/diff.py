"""What changes from one policy to another: in the words of the documents, and for which payments. Pure."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, to_builtins

from scrooge.routing.facts import Facts
from scrooge.routing.matcher import Matcher
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.plan import Compiled, Plan

CASES_MOST = 100_000


class Change(Struct, frozen=True):
    """`before` and `after` as in the document; None where the place is not there."""

    place: str
    before: Any
    after: Any


class Moved(Struct, frozen=True):
    """A payment that the two policies treat differently, and how."""

    payment: Facts
    before: tuple[str, tuple[str, ...]]  # the way of choosing, and the accounts
    after: tuple[str, tuple[str, ...]]


def changes(old: Policy, new: Policy) -> list[Change]:
    """Rules are told by their names, so that one put before another does not look like a change of all that follow."""
    return list(between("", named(to_builtins(old)), named(to_builtins(new))))


def named(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its lists of rules as tables by name, and their order beside."""

    def table(rules: list[dict[str, Any]]) -> dict[str, Any]:
        return {"order": [r["name"] for r in rules]} | {r["name"]: r for r in rules}

    rules, sets = document.get("rules", []), document.get("sets", {})
    return document | {"rules": table(rules), "sets": {name: table(s) for name, s in sets.items()}}


def between(place: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            yield from between(f"{place}.{key}" if place else key, old.get(key), new.get(key))
    elif old != new:
        yield Change(place, old, new)


def moved(old: Compiled, new: Compiled, most: int = 20, cases: int = CASES_MOST) -> list[Moved]:
    """Payments, one for each case, that go elsewhere or are chosen otherwise. Raises TooEntangled."""
    both = Matcher(tuple(dict.fromkeys((*old.conditions, *new.conditions))))
    found = []
    for facts in both.combinations(cases).values():
        before, after = old.plan(facts), new.plan(facts)
        if shape(before) != shape(after):
            found.append(Moved(facts, (before.way, before.accounts), (after.way, after.accounts)))
            if len(found) == most:
                break
    return found


def shape(plan: Plan) -> tuple[Any, ...]:
    return plan.way, plan.accounts, dict(plan.shares), plan.preferred
