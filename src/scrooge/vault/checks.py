"""Is this a card that may be kept here? Pure; what it refuses it never repeats."""

import re
from datetime import date

from msgspec import Struct

from scrooge.cards import CODE_LENGTHS, LENGTHS, LONGEST, SHORTEST, brand_of, iin_of, luhn
from scrooge.errors import (
    BrandLengthMismatch,
    ExpiredCard,
    InvalidField,
    InvalidNumber,
    InvalidSecurityCode,
    LiveCardInTestMode,
    TestCardInLiveMode,
    UnknownBrand,
)

SEPARATORS = re.compile(r"[ \-]")
DIGITS = re.compile(r"[0-9]+")
HOLDER_MAX = 100
YEARS_AHEAD_MAX = 30  # No scheme issues a card for longer.
# Issuers' digits of the numbers that PSPs and schemes publish for tests, and of the sandbox's own: of no real card.
# https://docs.stripe.com/testing, https://docs.adyen.com/development-resources/test-cards-and-credentials
TEST_IINS = (
    "400000", "400002", "400003", "400005", "400007", "400008", "400009", "400012", "400015", "400018", "400020",
    "400024", "400025", "400027", "400030", "400032", "400034", "400035", "400036", "400037", "400038", "400040",
    "400042", "400044", "400056", "400064", "400070", "400072", "400075", "400076", "400082", "400084", "400100",
    "401200", "401288", "410000", "411111", "424242", "455555", "491761", "498803", "222300", "222107", "222240",
    "222241", "510510", "520082", "542606", "545454", "550000", "550057", "555555", "557755", "513629", "678000",
    "300666", "305693", "360066", "361489", "370000", "371449", "374251", "378282", "378734", "352800", "353011",
    "356600", "356999", "560036", "564182", "601100", "601111", "601160", "644564", "620000", "620005", "620500",
    "624300", "650052", "671000", "677100", "676770",
)  # fmt: skip


class Card(Struct, frozen=True):
    """A whole card, in the vault's memory alone. Never logged, never shown: it has no words for itself."""

    number: str
    exp_month: int
    exp_year: int
    holder: str = ""

    def __repr__(self) -> str:
        return "Card()"

    @property
    def brand(self) -> str:
        return brand_of(self.number) or "unknown"

    @property
    def iin(self) -> str:
        return iin_of(self.number)

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def exp(self) -> str:
        return f"{self.exp_year:04d}-{self.exp_month:02d}"


def checked(
    number: str, exp_month: int, exp_year: int, holder: str | None, *, live: bool, today: date, where: str = "card"
) -> Card:
    """Raises a Problem that names the field and the rule."""
    digits = SEPARATORS.sub("", number)
    if not DIGITS.fullmatch(digits) or not digits.isascii() or len(digits) > LONGEST:
        raise InvalidNumber("a card number has digits only, at most 19", param=f"{where}.number")
    if brand_of(digits) is None:
        raise UnknownBrand("no card scheme has numbers like this", param=f"{where}.number")
    if len(digits) not in LENGTHS[digits[:4]] or len(digits) < SHORTEST:
        lengths = " or ".join(map(str, sorted(LENGTHS[digits[:4]])))
        brand = brand_of(digits)
        raise BrandLengthMismatch(f"numbers of {brand} have {lengths} digits", param=f"{where}.number")
    if not luhn(digits):
        raise InvalidNumber("the check digit is wrong: a digit is mistyped", param=f"{where}.number")
    if is_test(digits) and live:
        raise TestCardInLiveMode("this is a published test number", param=f"{where}.number")
    if not is_test(digits) and not live:
        raise LiveCardInTestMode("test mode takes published test numbers only", param=f"{where}.number")
    check_expiry(exp_month, exp_year, today, where)
    name = (holder or "").strip()
    if len(name) > HOLDER_MAX or not name.isprintable() or any(c.isdigit() for c in name):
        raise InvalidField(f"at most {HOLDER_MAX} characters of a name, no digits", param=f"{where}.holder")
    return Card(digits, exp_month, exp_year, name)


def check_expiry(month: int, year: int, today: date, where: str = "card") -> None:
    """Raises InvalidField, ExpiredCard."""
    if not 1 <= month <= 12:
        raise InvalidField("expected a month from 1 to 12", param=f"{where}.exp_month")
    if not 2000 <= year <= today.year + YEARS_AHEAD_MAX:
        raise InvalidField(
            f"expected a year with four digits, at most {YEARS_AHEAD_MAX} ahead", param=f"{where}.exp_year"
        )
    if (year, month) < (today.year, today.month):
        raise ExpiredCard("the card has expired", param=f"{where}.exp_year")


def checked_code(code: str | None, brand: str, where: str = "card") -> str | None:
    """Raises InvalidSecurityCode."""
    if code is None:
        return None
    lengths = CODE_LENGTHS.get(brand, (3,))
    if not (code.isascii() and code.isdigit() and len(code) in lengths):
        raise InvalidSecurityCode(f"the code of {brand} cards has {lengths[0]} digits", param=f"{where}.cvc")
    return code


def is_test(digits: str) -> bool:
    return digits.startswith(TEST_IINS)
