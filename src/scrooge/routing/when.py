"""A condition on payments, as policies and tariffs write it: every fact named must be among the values given. Pure."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from scrooge.errors import Problem
from scrooge.money import MINOR_MAX, Money
from scrooge.routing.facts import CURRENCIES, VOCABULARY, Facts, Kind

Text = Annotated[str, Meta(max_length=100)]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=1000)]
Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$")]


class Not(Struct, frozen=True, forbid_unknown_fields=True):
    """Any value but these."""

    but: Texts


class Range(Struct, frozen=True, forbid_unknown_fields=True):
    """Amounts of one currency, both ends included: decimal strings with the currency's own decimals."""

    currency: Text
    min: Amount | None = None
    max: Amount | None = None

    def minors(self) -> tuple[int, int]:
        """First and last amount in minor units. Raises Problem for a currency or a scale that is none."""
        low = 0 if self.min is None else Money.parse(self.min, self.currency).minor
        high = MINOR_MAX if self.max is None else Money.parse(self.max, self.currency).minor
        return low, high


class When(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is not named may be anything. An empty text among the values: payments of which the fact is not known."""

    merchant: Texts | Not | None = None
    caller: Texts | Not | None = None
    currency: Texts | Not | None = None
    amount: Annotated[tuple[Range, ...], Meta(min_length=1, max_length=200)] | None = None
    country: Texts | Not | None = None
    brand: Texts | Not | None = None
    iin: Texts | Not | None = None
    issuer: Texts | Not | None = None
    funding: Texts | Not | None = None
    product: Texts | Not | None = None
    method: Texts | Not | None = None
    initiator: Texts | Not | None = None
    purpose: Texts | Not | None = None
    three_ds: Texts | Not | None = None

    def named(self, word: str) -> tuple[tuple[str, ...], bool] | None:
        """The values that the condition gives for a word, and whether it takes these (or all others); None: any."""
        given = getattr(self, word)
        if given is None:
            return None
        return (given.but, False) if isinstance(given, Not) else (given, True)


ANYTHING = When()


def faults(when: When) -> Iterator[tuple[str, str]]:
    """Where in the condition something is no value of its word, and what is wrong there."""
    for word in VOCABULARY.values():
        if word.name == "amount":
            continue
        given = when.named(word.name)
        for place, value in enumerate(given[0] if given else ()):
            if not word.takes(value):
                yield f"{word.name}[{place}]", f"{value!r} is no {word.name}"
    for place, ranged in enumerate(when.amount or ()):
        if ranged.currency not in CURRENCIES:
            yield f"amount[{place}].currency", f"{ranged.currency!r} is no currency"
            continue
        try:
            low, high = ranged.minors()
        except Problem as problem:
            yield f"amount[{place}]", str(problem)
            continue
        if low > high:
            yield f"amount[{place}]", f"no amount is at least {ranged.min} and at most {ranged.max}"


def unmet(when: When, facts: Facts) -> tuple[str, ...]:
    """The words of the condition that the payment does not meet; none when it meets the condition."""
    found = []
    for word in VOCABULARY.values():
        if word.kind is Kind.AMOUNT:
            spans = [(r.currency, *r.minors()) for r in when.amount or ()]
            met = when.amount is None or any(c == facts.currency and a <= facts.minor <= b for c, a, b in spans)
        elif (given := when.named(word.name)) is None:
            met = True
        else:
            fact = getattr(facts, word.name)
            within = fact.startswith(given[0]) if word.kind is Kind.PREFIX else fact in given[0]
            met = within is given[1]
        if not met:
            found.append(word.name)
    return tuple(found)
