"""No amount changes on its way to a PSP and back, in any currency that there is."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.connectors import adyen, adyen_replies, stripe, stripe_replies
from scrooge.connectors.kit import UnreadableReply, money_of
from scrooge.errors import AmountNotRepresentable, UnknownCurrency
from scrooge.money import MINOR_MAX, Money, exponent_of

from .cases import CASES


def is_money(code: str) -> bool:
    try:
        exponent_of(code)
    except UnknownCurrency:
        return False
    return True


CURRENCIES = sorted(c.code for c in iso4217.Currency if is_money(c.code))
monies = st.builds(Money, st.integers(0, MINOR_MAX), st.sampled_from(CURRENCIES))
SENT = {
    "stripe": lambda money: stripe.amount(money),
    "adyen": lambda money: adyen.amount(money)["value"],
}
EXPONENTS = {"stripe": stripe_replies.EXPONENTS, "adyen": adyen_replies.EXPONENTS}
COARSER = {"stripe": {"MGA"}, "adyen": {"CVE", "IDR"}}  # the PSP counts in larger units than ISO 4217
NAMES = pytest.mark.parametrize("name", CASES)


def test_there_are_currencies() -> None:
    assert len(CURRENCIES) > 140
    assert {"EUR", "JPY", "KWD", "ISK", "UGX", "MGA", "CLP", "CVE", "IDR"} <= set(CURRENCIES)


@NAMES
@given(money=monies)
def test_an_amount_comes_back_as_it_was_or_is_refused(name: str, money: Money) -> None:
    three = name == "stripe" and money.exponent == 3
    try:
        count = SENT[name](money)
    except AmountNotRepresentable:
        assert money.currency in COARSER[name] or three
        return
    assert money_of(count, money.currency.lower(), EXPONENTS[name]) == money
    assert not (three and count % 10)


@NAMES
@given(units=st.integers(0, 10**12), currency=st.sampled_from(CURRENCIES))
def test_whole_units_can_always_be_sent(name: str, units: int, currency: str) -> None:
    money = Money(units * 10 ** exponent_of(currency), currency)
    assert money_of(SENT[name](money), currency, EXPONENTS[name]) == money


@pytest.mark.parametrize(
    ("name", "value", "currency", "count"),
    [
        ("stripe", "12.99", "EUR", 1299),
        ("stripe", "1299", "JPY", 1299),
        ("stripe", "12", "ISK", 1200),
        ("stripe", "12", "UGX", 1200),
        ("stripe", "12.00", "MGA", 12),
        ("stripe", "1.250", "KWD", 1250),
        ("stripe", "12.00", "HUF", 1200),
        ("adyen", "12.99", "EUR", 1299),
        ("adyen", "1299", "JPY", 1299),
        ("adyen", "12", "CLP", 1200),
        ("adyen", "12", "ISK", 1200),
        ("adyen", "12.00", "CVE", 12),
        ("adyen", "12.00", "IDR", 12),
        ("adyen", "1.251", "KWD", 1251),
    ],
)
def test_worked_examples(name: str, value: str, currency: str, count: int) -> None:
    assert SENT[name](Money.parse(value, currency)) == count


@pytest.mark.parametrize("count", ["1299", 12.99, True, None, -1])
def test_what_is_no_count_is_not_read_as_one(count: object) -> None:
    with pytest.raises(UnreadableReply):
        money_of(count, "EUR", {})  # type: ignore[arg-type]


def test_a_fraction_of_a_krona_is_not_rounded() -> None:
    with pytest.raises(AmountNotRepresentable):
        money_of(1250, "isk", stripe_replies.EXPONENTS)
