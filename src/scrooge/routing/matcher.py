"""Which of many conditions a payment meets, by a few look-ups; and every set of them that some payment can meet. Pure.

A condition has a bit. For every fact there is a table from its values to the bits of the conditions that take the
value; what a payment meets is what all its tables have in common. The same tables say which combinations there are:
two payments that are alike in all of them are alike to every condition, so a policy is checked by trying them all.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from scrooge.money import MINOR_MAX
from scrooge.routing.facts import CURRENCIES, UNKNOWN, VOCABULARY, Facts, Kind, Word
from scrooge.routing.when import When

LONGEST = 8
Example = dict[str, Any]  # facts of a payment, by name
Read = Callable[[Facts], int]


class Axis(Struct, frozen=True):
    """One fact: how to read a payment's bits, and an example for every set of bits that a payment can have there."""

    read: Read
    atoms: tuple[tuple[int, Example], ...]


class TooEntangled(Exception):
    """There are more combinations than can be tried."""


class Matcher:
    """Conditions in their order; `met` has bit i set when a payment meets the i-th. Raises Problem for bad amounts."""

    def __init__(self, conditions: Sequence[When]) -> None:
        self.all = (1 << len(conditions)) - 1
        axes = [money_axis(conditions, self.all)]
        for word in VOCABULARY.values():
            if word.kind is not Kind.AMOUNT and word.name != "currency":
                make = prefix_axis if word.kind is Kind.PREFIX else value_axis
                axes.append(make(word, conditions, self.all))
        self.axes = tuple(axis for axis in axes if axis is not None)
        self.reads = tuple(axis.read for axis in self.axes)

    def met(self, facts: Facts) -> int:
        bits = self.all
        for read in self.reads:
            bits &= read(facts)
        return bits

    def combinations(self, bound: int) -> dict[int, Facts]:
        """Every set of conditions that some payment meets together, with such a payment. Raises TooEntangled."""
        found: dict[int, Example] = {self.all: {}}
        for axis in self.axes:
            further: dict[int, Example] = {}
            for bits, example in found.items():
                for there, more in axis.atoms:
                    if (both := bits & there) not in further:
                        further[both] = example | more
                if len(further) > bound:
                    raise TooEntangled(f"more than {bound} combinations")
            found = further
        usual = Facts(currency="EUR", minor=1000, at=0)
        return {bits: structs.replace(usual, **example) for bits, example in found.items()}


def value_axis(word: Word, conditions: Sequence[When], everything: int) -> Axis | None:
    """A fact with values that are told apart by name."""
    name = word.name
    named = {i: given for i, c in enumerate(conditions) if (given := c.named(name)) is not None}
    if not named:
        return None
    # A value that nobody names meets every condition that does not ask for some; one that is named turns theirs.
    others = everything & ~sum(taken << i for i, (_, taken) in named.items())
    table = {value: others ^ bits for value, bits in naming(named).items()}
    atoms = [(bits, {name: value}) for value, bits in sorted(table.items())]
    another = unnamed(word, table)
    if another is not None:
        atoms.append((others, {name: another}))

    def read(facts: Facts) -> int:
        return table.get(getattr(facts, name), others)

    return Axis(read, distinct(atoms))


def naming(named: Mapping[int, tuple[Collection[str], bool]]) -> dict[str, int]:
    """For each value the bits of the conditions that name it, be it to take it or not."""
    found: dict[str, int] = {}
    for i, (values, _) in named.items():
        for value in values:
            found[value] = found.get(value, 0) | 1 << i
    return found


def unnamed(word: Word, table: dict[str, int]) -> str | None:
    """A value of the word that is not in the table; None when all are."""
    if word.values is not None:
        return min(word.values - set(table), default=None)
    candidates = [UNKNOWN, f"another_{word.name}", *(f"another_{word.name}_{n}" for n in range(len(table)))]
    return next(c for c in candidates if c not in table and word.takes(c))


def prefix_axis(word: Word, conditions: Sequence[When], everything: int) -> Axis | None:
    """First digits: what counts is the longest of the prefixes named, since the shorter ones are in it."""
    name = word.name
    named = {i: given for i, c in enumerate(conditions) if (given := c.named(name)) is not None}
    if not named:
        return None

    base = everything & ~sum(taken << i for i, (_, taken) in named.items())
    known = naming(named)

    def bits_of(digits: str) -> int:
        bits = 0
        for length in range(len(digits) + 1):
            bits |= known.get(digits[:length], 0)
        return base ^ bits

    table = {prefix: bits_of(prefix) for prefix in known}
    others = bits_of(UNKNOWN)
    lengths = sorted({len(prefix) for prefix in table}, reverse=True)
    atoms = [(others, {name: UNKNOWN})]
    for prefix in sorted(table):
        if (example := within(prefix, table)) is not None:
            atoms.append((table[prefix], {name: example}))

    def read(facts: Facts) -> int:
        digits = getattr(facts, name)
        for length in lengths:
            bits = table.get(digits[:length])
            if bits is not None:
                return bits
        return others

    return Axis(read, distinct(atoms))


def within(prefix: str, named: dict[str, int]) -> str | None:
    """Digits of an issuer that begin so, and with no longer prefix that is named; None when there are none."""
    if len(prefix) >= 6:
        return prefix
    for digit in "0123456789":
        longer = prefix + digit
        if longer not in named and (found := within(longer, named)) is not None:
            return found
    return None


def money_axis(conditions: Sequence[When], everything: int) -> Axis | None:
    """Currency and amount together, since an amount says nothing without its currency."""
    if all(c.currency is None and c.amount is None for c in conditions):
        return None
    spans = [[(r.currency, *r.minors()) for r in c.amount or ()] for c in conditions]
    named = {v for c in conditions if (given := c.named("currency")) for v in given[0]}
    named |= {currency for ranges in spans for currency, _, _ in ranges}

    def meets(i: int, currency: str, minor: int) -> bool:
        given, wanted = conditions[i].named("currency"), conditions[i].amount
        if given is not None and (currency in given[0]) is not given[1]:
            return False
        return wanted is None or any(currency == cur and low <= minor <= high for cur, low, high in spans[i])

    def bits_of(currency: str, minor: int) -> int:
        return sum(1 << i for i in range(len(conditions)) if meets(i, currency, minor))

    table: dict[str, tuple[list[int], list[int]]] = {}
    atoms: list[tuple[int, Example]] = []
    for currency in sorted(named):
        edges: dict[int, set[int]] = {1: set()}  # where something changes, and for which conditions
        for i, ranges in enumerate(spans):
            for edge in (edge for cur, low, high in ranges if cur == currency for edge in (low, high + 1)):
                if 1 < edge <= MINOR_MAX:
                    edges.setdefault(edge, set()).add(i)
        starts = sorted(edges)
        masks = [bits_of(currency, 1)]
        for start in starts[1:]:
            bits = masks[-1]
            for i in edges[start]:
                bits = bits & ~(1 << i) | meets(i, currency, start) << i
            masks.append(bits)
        table[currency] = starts, masks
        atoms += [(bits, {"currency": currency, "minor": start}) for start, bits in zip(starts, masks, strict=True)]
    others = bits_of(UNKNOWN, 1)
    another = min(CURRENCIES - named, default=None)
    if another is not None:
        atoms.append((others, {"currency": another}))

    def read(facts: Facts) -> int:
        found = table.get(facts.currency)
        if found is None:
            return others
        starts, masks = found
        # A verification of nothing is routed like the smallest payment.
        return masks[0] if len(masks) == 1 else masks[bisect_right(starts, max(1, facts.minor)) - 1]

    return Axis(read, distinct(atoms))


def distinct(atoms: Sequence[tuple[int, Example]]) -> tuple[tuple[int, Example], ...]:
    """One example for every set of bits."""
    found: dict[int, Example] = {}
    for bits, example in atoms:
        found.setdefault(bits, example)
    return tuple(found.items())
