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
# Test mode takes these and no other: what PSPs publish for tests, and numbers with the issuer's digits 400000, which no
# issuer has and in which PSPs, and our sandbox, have most of theirs.
# https://docs.stripe.com/testing, https://docs.adyen.com/development-resources/test-cards-and-credentials
TEST_IIN = "400000"
TEST_NUMBERS = frozenset({
    "2222400010000008", "2222400030000004", "2222400050000009", "2222400060000007", "2222400070000005",
    "2222410700000002", "2222410740360010", "2223000048410010", "2223003122003222", "2223520443560010",
    "3056930009020004", "3566002020360505", "3569990010095841", "36006666333344", "36227206271667", "370000000000002",
    "370000000100018", "371449635398431", "378282246310005", "4000020000000000", "4000056655665556",
    "4000060000000006", "4000160000000004", "4000180000000002", "4000620000000007", "4000640000000005",
    "4000760000000001", "4001590000000001", "4002690000000008", "4003550000000003", "4005519000000006",
    "4012888888881881", "4017340000000003", "4035501000000008", "4100000000000019", "4111111111111111",
    "4111111145551142", "4131840000000003", "4151500000000008", "4166676667666746", "4199350000000002",
    "4222222222222", "4242424242424242", "4293189100000008", "4400000000000008", "4444333322221111",
    "4571000000000001", "4607000000000009", "4646464646464644", "4977949494949497", "4988080000000000",
    "4988438843884305", "5066991111111118", "5100060000000002", "5105105105105100", "5136333333333335",
    "5200828282828210", "5454545454545454", "5500000000000004", "5555341244441115", "5555444433331111",
    "5555555555554444", "5577000055770004", "5585558555855583", "6011000990139424", "6011111111111117",
    "6011601160116611", "6011981111111113", "6200000000000005", "6200000000000047", "6205500000000000004",
    "6445644564456445", "6555900000604105", "6771798021000008", "6771798025000004", "8171999927660000",
})  # fmt: skip


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
    return digits.startswith(TEST_IIN) or digits in TEST_NUMBERS
