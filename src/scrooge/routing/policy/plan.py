"""What a policy says to a payment: who may take it, how one is chosen among them, and which rules said so. Pure.

Compiled once: every condition has a bit, a payment's bits are found by a few look-ups, and payments with the same bits
have the same plan.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256

from msgspec import Struct

from scrooge.routing.facts import Facts
from scrooge.routing.matcher import Matcher
from scrooge.routing.policy.document import Policy, Rule, Terms, to_json
from scrooge.routing.volumes import bounds
from scrooge.routing.when import When

KEPT = 50_000
DEPTH = 20  # of sets that include sets; a loop is deeper than that


class Way(StrEnum):
    """How one account is chosen among those that may take a payment."""

    SCORED = "scored"
    LISTED = "listed"
    SPLIT = "split"


class Plan(Struct, frozen=True):
    """`accounts` may take it, in the rule's order or the document's; `shares` are parts of one, when it is split."""

    way: Way
    accounts: tuple[str, ...]
    excluded: Mapping[str, str]  # why the others may not, whoever asks for them
    left_out: Mapping[str, str] = {}  # why others are not chosen, unless somebody asks for one by name
    rules: tuple[str, ...] = ()  # that the payment met, in their order
    preferred: frozenset[str] = frozenset()
    shares: Mapping[str, float] = {}
    in_scope: bool = True
    places: Mapping[str, int] = {}  # of `accounts`


class Step(Struct, frozen=True):
    """A rule in its flat place: `needs` are the bits of its condition and of those of the sets that lead to it."""

    rule: Rule
    needs: int
    place: str  # in the document: "rules[2]", "sets.eu[0]"


class Compiled:
    """A policy ready to be asked, millions of times. `version` tells its content from any other.

    `outer` is the merchant's own, when this is a third party's: nothing is widened that the outer one refuses.
    """

    def __init__(self, policy: Policy, outer: "Compiled | None" = None) -> None:
        self.policy, self.outer = policy, outer
        version = f"{policy.name}@{sha256(to_json(policy)).hexdigest()[:12]}"
        self.version = version if outer is None else f"{outer.version} {version}"
        conditions: dict[When, int] = {}

        def bit(condition: When) -> int:
            return 1 << conditions.setdefault(condition, len(conditions))

        self.scope = [bit(condition) for condition in policy.scope]
        self.takes = {name: [bit(c) for c in terms.takes] for name, terms in policy.accounts.items()}
        self.steps = tuple(flat(policy, bit))
        self.conditions = tuple(conditions)
        self.matcher = Matcher(self.conditions)
        self.kept: dict[tuple[int, int], Plan] = {}
        self.margin = float(Fraction(policy.scorer.margin) / 100)
        # Contracts are the merchant's, whoever's policy chooses.
        self.bounds = bounds((*policy.volumes, *(outer.policy.volumes if outer is not None else ())))
        self.patience = float(Fraction(policy.scorer.patience) / 100)

    def plan(self, facts: Facts) -> Plan:
        bits = self.matcher.met(facts), self.outer.matcher.met(facts) if self.outer is not None else 0
        found = self.kept.get(bits)
        if found is None:
            if len(self.kept) >= KEPT:
                self.kept.clear()
            found = self.read(bits[0])
            if self.outer is not None:
                found = narrowed(self.outer.read(bits[1]), found)
            self.kept[bits] = found
        return found

    def in_scope(self, bits: int) -> bool:
        return not self.scope or any(bits & one for one in self.scope)

    def read(self, bits: int) -> Plan:
        """The rules in their order, for payments that meet these conditions."""
        excluded: dict[str, str] = {}
        preferred: set[str] = set()
        rules: list[str] = []
        chosen: tuple[str, ...] = tuple(self.takes)
        way, shares = Way.SCORED, {}
        for step in self.steps:
            if bits & step.needs != step.needs:
                continue
            rule = step.rule
            rules.append(rule.name)
            if rule.exclude is not None:
                excluded |= dict.fromkeys(rule.exclude, f"excluded by {rule.name!r}")
            elif rule.prefer is not None:
                preferred |= set(rule.prefer)
            elif rule.use is not None:
                way, chosen = Way.LISTED, rule.use
                break
            elif rule.split is not None:
                way, chosen = Way.SPLIT, tuple(rule.split)
                shares = {name: float(Fraction(part) / 100) for name, part in rule.split.items()}
                break
        left_out = {name: f"not among those of {rules[-1]!r}" for name in self.takes if name not in chosen}
        why = {name: "its terms do not take such a payment" for name in self.takes if not self.taken(name, bits)}
        why |= excluded
        allowed = tuple(name for name in chosen if name not in why)
        inside = self.in_scope(bits)
        if not inside:
            why, allowed = dict.fromkeys(self.takes, "outside the policy's scope"), ()
        return Plan(way, allowed, why, left_out, tuple(rules), frozenset(preferred), shares, inside, places(allowed))

    def taken(self, name: str, bits: int) -> bool:
        """By the account's own terms."""
        takes = self.takes.get(name, [])
        return not takes or any(bits & one for one in takes)


def places(accounts: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(accounts)}


def narrowed(outer: Plan, inner: Plan) -> Plan:
    """What both leave, chosen as the inner one says; the outer one's way and preferences count where that says none."""
    chosen = outer if inner.way is Way.SCORED else inner
    accounts = tuple(name for name in chosen.accounts if name in outer.accounts and name in inner.accounts)
    widened = (name for name in (*inner.accounts, *inner.left_out) if name not in outer.places)
    unnamed = dict.fromkeys(widened, "the merchant's policy does not name it")
    return Plan(
        way=chosen.way,
        accounts=accounts,
        excluded={**unnamed, **inner.excluded, **outer.excluded, **outer.left_out},
        left_out=inner.left_out,
        rules=outer.rules + inner.rules,
        preferred=outer.preferred | inner.preferred,
        shares=chosen.shares,
        in_scope=outer.in_scope and inner.in_scope,
        places=places(accounts),
    )


def flat(policy: Policy, bit: Callable[[When], int]) -> Iterator[Step]:
    """All rules in the order in which they are read, with the sets unfolded where they are included."""

    def unfold(rules: Sequence[Rule], place: str, needs: int, depth: int) -> Iterator[Step]:
        for i, rule in enumerate(rules):
            here = needs | bit(rule.when)
            if rule.include is None:
                yield Step(rule, here, f"{place}[{i}]")
            elif depth < DEPTH and rule.include in policy.sets:
                yield from unfold(policy.sets[rule.include], f"sets.{rule.include}", here, depth + 1)

    return unfold(policy.rules, "rules", 0, 0)


def default_policy(accounts: Sequence[str], name: str = "default") -> Policy:
    """Any account may take anything, and the scorer chooses."""
    return Policy(name=name, accounts={account: Terms() for account in accounts})
