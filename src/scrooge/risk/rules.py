"""Risk rules as a document: what is counted or listed, and what follows. Pure.

A rule in mode `observe` is recorded and decides nothing; every rule that ships does only that.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Of = Literal["card", "customer", "iin", "ip", "email", "country", "merchant"]
Does = Literal["review", "challenge", "block"]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,63}$")]
Value = Annotated[str, Meta(max_length=256, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Minutes = Annotated[int, Meta(ge=1, le=1440)]
Count = Annotated[int, Meta(ge=1, le=1000)]
LISTS_MOST = 1000  # whose look-ups are kept ready
STRICTNESS = ("allow", "review", "challenge", "block")


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`of` says whose payments count together, or which fact is looked up."""

    name: Name
    of: Of
    mode: Literal["observe", "enforce"] = "observe"


class Velocity(Rule, frozen=True, kw_only=True, tag="velocity", forbid_unknown_fields=True):
    """More than `most` in the last `minutes`, this payment among them. `cards`: different ones."""

    counts: Literal["attempts", "declines", "cards"]
    most: Count
    minutes: Minutes
    does: Does


class CardTesting(Rule, frozen=True, kw_only=True, tag="card_testing", forbid_unknown_fields=True):
    """Somebody tries stolen numbers: at least `cards` different ones in `minutes`, most of them declined."""

    cards: Count
    declined_percent: Annotated[int, Meta(ge=1, le=100)]
    minutes: Minutes
    does: Does


class Listed(Rule, frozen=True, kw_only=True, tag="list", forbid_unknown_fields=True):
    """`iin` matches by its first digits, `ip` by its network (203.0.113.0/24); everything else whole, whatever its
    case. `until`: Unix microseconds."""

    values: Annotated[frozenset[Value], Meta(max_length=10_000)]
    does: Literal["allow", "review", "challenge", "block"]
    until: int | None = None


AnyRule = Velocity | CardTesting | Listed


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    rule: tuple[AnyRule, ...]


class RuleRefused(ValueError):
    """The document says something that cannot be meant; the text names the place."""


def read(text: str) -> Document:
    """Raises RuleRefused."""
    try:
        document = msgspec.convert(tomllib.loads(text), Document)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RuleRefused(str(error)) from error
    for place, why in faults(document.rule):
        raise RuleRefused(f"rule{place}: {why}")
    return document


def faults(rules: Iterable[AnyRule]) -> Iterator[tuple[str, str]]:
    """(place, what is wrong there) of what cannot be meant."""
    seen: set[str] = set()
    for n, rule in enumerate(rules):
        if why := nonsense(rule, seen):
            yield f"[{n}] {rule.name!r}", why
        seen.add(rule.name)


def nonsense(rule: AnyRule, seen: set[str]) -> str:
    if rule.name in seen:
        return "another rule has this name"
    match rule:
        case Listed(values=values) if not values or not all(v.strip() for v in values):
            return "a list without values can never match"
        case Listed(of="iin", values=values) if not all(v.isascii() and v.isdigit() and len(v) <= 8 for v in values):
            return "an IIN is one to eight digits"
        case Listed(of="ip", values=values) if not all(map(network, values)):
            return "an address is like 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48"
        case Velocity(of="card", counts="cards") | CardTesting(of="card"):
            return "a card is never more than one card"
        case _:
            return ""


def network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


@lru_cache(LISTS_MOST)
def networks(values: frozenset[str]) -> Mapping[tuple[int, int], frozenset[int]]:
    """By version and how many of an address's last bits are anybody's: what the others are. Ten thousand networks are
    looked up like one."""
    found: dict[tuple[int, int], set[int]] = {}
    for known in filter(None, map(network, values)):
        open_bits = known.max_prefixlen - known.prefixlen
        found.setdefault((known.version, open_bits), set()).add(int(known.network_address) >> open_bits)
    return {place: frozenset(numbers) for place, numbers in found.items()}


@lru_cache(LISTS_MOST)
def folded(values: frozenset[str]) -> frozenset[str]:
    return frozenset(v.casefold() for v in values)


@lru_cache
def shipped() -> Document:
    return read((resources.files("scrooge.risk") / "rules.toml").read_text("utf-8"))
