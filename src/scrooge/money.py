"""Money is an integer count of minor units and a currency. There are no floats here."""

import re
from functools import cache
from typing import Self

import iso4217
from msgspec import Struct

from scrooge.errors import (
    AmountMustBePositive,
    AmountNotRepresentable,
    AmountOutOfRange,
    AmountScaleMismatch,
    UnknownCurrency,
)

DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
MINOR_MAX = 10**15 - 1  # Keeps every sum of a few thousand postings inside a bigint.

# Codes of ISO 4217 that no payment is made in: metals, funds, testing, "no currency".
NOT_MONEY = frozenset(
    [
        "XAU",
        "XAG",
        "XPT",
        "XPD",
        "XBA",
        "XBB",
        "XBC",
        "XBD",
        "XDR",
        "XSU",
        "XUA",
        "XTS",
        "XXX",
        "CHE",
        "CHW",
        "COU",
        "CLF",
        "MXV",
        "USN",
        "UYI",
        "UYW",
        "BOV",
    ]
)


@cache
def exponent_of(currency: str) -> int:
    """Decimals of the currency by ISO 4217 (the maintenance agency's table, from a library)."""
    try:
        entry = iso4217.Currency(currency)
    except ValueError:
        entry = None
    if entry is None or entry.exponent is None or currency in NOT_MONEY:
        raise UnknownCurrency(f"{currency[:8]!r} is not a currency of ISO 4217 that payments are made in")
    return entry.exponent


class Money(Struct, frozen=True, order=False):
    """`minor` counts the ISO 4217 minor unit of `currency`."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, value: str, currency: str) -> Self:
        """From a decimal string with exactly the currency's scale; anything else is refused, not guessed.

        Raises UnknownCurrency, AmountScaleMismatch, AmountMustBePositive (negative), AmountOutOfRange.
        """
        exponent = exponent_of(currency)
        match = DECIMAL.fullmatch(value)
        if match is None or len((match[2] or ".")[1:]) != exponent:
            raise AmountScaleMismatch(
                f"{currency} takes {exponent} decimals, like {example(exponent)!r}; got {value[:40]!r}"
            )
        minor = int(value.replace(".", ""))
        if minor < 0:
            raise AmountMustBePositive(f"an amount is never negative; got {value[:40]!r}")
        if minor > MINOR_MAX:
            raise AmountOutOfRange(f"the largest amount is {cls(MINOR_MAX, currency)}")
        return cls(minor, currency)

    def __add__(self, other: Self) -> Self:
        assert self.currency == other.currency, (self, other)
        return type(self)(self.minor + other.minor, self.currency)

    def __sub__(self, other: Self) -> Self:
        assert self.currency == other.currency, (self, other)
        return type(self)(self.minor - other.minor, self.currency)

    @property
    def exponent(self) -> int:
        return exponent_of(self.currency)

    @property
    def value(self) -> str:
        """The decimal string with exactly the currency's scale."""
        return decimal(self.minor, self.exponent)

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"

    def count_in(self, exponent: int) -> int:
        """The same money counted in units of another exponent; never rounded.

        Raises AmountNotRepresentable.
        """
        if exponent >= self.exponent:
            return int(self.minor * 10 ** (exponent - self.exponent))
        units, rest = divmod(self.minor, 10 ** (self.exponent - exponent))
        if rest:
            raise AmountNotRepresentable(f"{self} has no exact form with {exponent} decimals")
        return units


def decimal(minor: int, exponent: int) -> str:
    """`minor` written with `exponent` decimals: (1299, 2) is "12.99", (-5, 2) is "-0.05"."""
    if exponent == 0:
        return str(minor)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def example(exponent: int) -> str:
    return decimal(1299 if exponent < 3 else 12990, exponent)


def rescaled(count: int, exponent: int, currency: str) -> Money:
    """What a PSP's integer means: `count` units with the PSP's own `exponent`.

    Raises AmountNotRepresentable when ISO 4217 has fewer decimals than the number needs.
    """
    iso = exponent_of(currency)
    if exponent <= iso:
        return Money(count * 10 ** (iso - exponent), currency)
    minor, rest = divmod(count, 10 ** (exponent - iso))
    if rest:
        raise AmountNotRepresentable(f"{count} with {exponent} decimals is no amount of {currency}")
    return Money(minor, currency)
