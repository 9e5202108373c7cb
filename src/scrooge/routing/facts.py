"""What is known of a payment at the moment it is routed, and the words in which a policy may speak of it. Pure."""

import re
from enum import StrEnum

import iso4217
from iso3166 import countries_by_alpha2
from msgspec import Struct

from scrooge.cards import BRANDS
from scrooge.money import NOT_MONEY

UNKNOWN = ""  # of any fact: we were not told, or could not tell


class Facts(Struct, frozen=True, kw_only=True):
    """`minor` counts minor units of `currency`; `at` is Unix microseconds; an empty text is a fact unknown to us."""

    currency: str
    minor: int
    at: int
    merchant: str = UNKNOWN
    caller: str = UNKNOWN  # the API caller, which may be a third party with a policy of its own
    country: str = UNKNOWN  # the issuer's, ISO 3166-1 alpha-2
    brand: str = UNKNOWN
    iin: str = UNKNOWN  # 6 to 8 digits
    issuer: str = UNKNOWN
    funding: str = UNKNOWN
    product: str = UNKNOWN  # consumer or commercial: interchange is capped for one and not for the other
    method: str = "card"
    initiator: str = "customer"
    purpose: str = UNKNOWN
    three_ds: str = UNKNOWN
    instrument: str = UNKNOWN
    needs: frozenset[str] = frozenset()  # capabilities without which an account cannot take it: "manual_capture"


class Kind(StrEnum):
    """How a rule speaks of a fact."""

    ONE_OF = "one_of"  # a list of values
    PREFIX = "prefix"  # a list of first digits
    AMOUNT = "amount"  # a range of amounts in a currency


class Word(Struct, frozen=True):
    """`values`: all that there are, None when nobody has a list; `form` is then what each must look like."""

    name: str
    kind: Kind
    values: frozenset[str] | None = None
    form: re.Pattern[str] | None = None

    def takes(self, value: str) -> bool:
        if self.values is not None:
            return value in self.values
        return self.form is None or self.form.fullmatch(value) is not None


CURRENCIES = frozenset(c.code for c in iso4217.Currency if c.exponent is not None and c.code not in NOT_MONEY)
COUNTRIES = frozenset(countries_by_alpha2)
TEXT = re.compile(r"[\w.:@/ -]{1,100}")


def words(name: str, *values: str) -> Word:
    return Word(name, Kind.ONE_OF, frozenset(values))


# An empty text among the values: a rule may speak of payments of which the fact is not known.
VOCABULARY = {
    word.name: word
    for word in (
        Word("merchant", Kind.ONE_OF, form=TEXT),
        Word("caller", Kind.ONE_OF, form=TEXT),
        Word("currency", Kind.ONE_OF, CURRENCIES),
        Word("amount", Kind.AMOUNT),
        Word("country", Kind.ONE_OF, COUNTRIES | {UNKNOWN}),
        Word("brand", Kind.ONE_OF, frozenset(BRANDS.values()) | {UNKNOWN}),
        Word("iin", Kind.PREFIX, form=re.compile(r"[0-9]{1,8}")),
        Word("issuer", Kind.ONE_OF, form=re.compile(rf"({TEXT.pattern})?")),
        words("funding", "credit", "debit", "prepaid", UNKNOWN),
        words("product", "consumer", "commercial", UNKNOWN),
        Word("method", Kind.ONE_OF, form=re.compile(r"[a-z0-9_]{1,40}")),
        words("initiator", "customer", "merchant"),
        Word("purpose", Kind.ONE_OF, form=re.compile(r"([a-z][a-z0-9_]{0,63})?")),
        words("three_ds", "asked", "exempted", "authenticated", UNKNOWN),
    )
}
