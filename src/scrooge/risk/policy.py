"""A risk policy as a document: the built-in rules, and a service that may be asked. Pure.

Both only watch unless the policy says that they decide.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, structs

from scrooge.risk.rules import AnyRule, Document, faults, shipped

RULES_MOST = 100
Mode = Literal["observe", "enforce"]
Who = Literal["customer", "merchant"]
PolicyName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fail`: what a payment gets when no answer comes in time: open, it goes on; closed, it is refused for now.
    `secret` names a file with the key that signs; the key itself is never here."""

    url: Annotated[str, Meta(max_length=1024, pattern=r"^https?://[!-~]+$")]
    secret: Annotated[str, Meta(pattern="^secret:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
    fail: Literal["open", "closed"]
    deadline_ms: Annotated[int, Meta(ge=20, le=2000)] = 300
    mode: Mode = "observe"
    initiators: Annotated[frozenset[Who], Meta(min_length=1)] = frozenset({"customer", "merchant"})


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mode` is of the rules: with `observe` none decides, whatever it says of itself. No `rules`: those that ship."""

    name: PolicyName
    mode: Mode = "observe"
    rules: Annotated[tuple[AnyRule, ...], Meta(max_length=RULES_MOST)] | None = None
    service: Service | None = None


def rules_of(policy: Policy, version: str) -> Document:
    """What the built-in check decides by."""
    rules = shipped().rule if policy.rules is None else policy.rules
    if policy.mode == "observe":
        rules = tuple(structs.replace(rule, mode="observe") for rule in rules)
    return Document(version, rules)


def lint(policy: Policy) -> Iterator[tuple[str, str]]:
    """(place, what is wrong there)."""
    rules = rules_of(policy, "").rule
    yield from ((f"rules{place}", why) for place, why in faults(rules))
    if policy.mode == "enforce" and not any(rule.mode == "enforce" for rule in rules):
        yield "mode", 'no rule decides: say mode = "enforce" of those that shall, or of none'
    service = policy.service
    if service is not None and service.fail == "closed" and service.mode == "observe":
        yield "service.fail", 'a service that only watches refuses nothing: fail = "open"'


def to_json(policy: Policy) -> bytes:
    """The same policy, the same bytes."""
    return msgspec.json.encode(policy, order="deterministic")


def from_json(text: str | bytes) -> Policy:
    """Raises msgspec.ValidationError for words of another version."""
    return msgspec.json.decode(text, type=Policy)
