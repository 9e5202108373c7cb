"""Exact or refused, in both directions, for every currency of ISO 4217."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.errors import AmountMustBePositive, AmountOutOfRange, AmountScaleMismatch, Problem, UnknownCurrency
from scrooge.money import MINOR_MAX, NOT_MONEY, Money, exponent_of, rescaled

CURRENCIES = sorted(c.code for c in iso4217.Currency if c.exponent is not None and c.code not in NOT_MONEY)
amounts = st.integers(0, MINOR_MAX)


@given(amounts, st.sampled_from(CURRENCIES))
def test_what_is_written_is_read_back(minor: int, currency: str):
    money = Money(minor, currency)
    assert Money.parse(money.value, currency) == money


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("12.99", "EUR", 1299), ("1299", "JPY", 1299), ("1.250", "KWD", 1250), ("0.05", "USD", 5), ("0", "JPY", 0)],
)
def test_worked_examples(value: str, currency: str, minor: int):
    assert Money.parse(value, currency).minor == minor


@pytest.mark.parametrize(
    ("value", "currency"),
    [("1299", "EUR"), ("12.9", "EUR"), ("12.990", "EUR"), ("80.00", "JPY"), ("1.25", "KWD"), ("1,25", "EUR"),
     ("", "EUR"), (" 1.00", "EUR"), ("1.00 ", "EUR"), ("01.00", "EUR"), ("1e2", "JPY"), ("٣.٠٠", "EUR"),
     ("+1.00", "EUR"), (".99", "EUR"), ("NaN", "EUR")],
)  # fmt: skip
def test_another_scale_is_refused_never_guessed(value: str, currency: str):
    with pytest.raises(AmountScaleMismatch):
        Money.parse(value, currency)


def test_negative_and_huge_amounts_are_refused():
    with pytest.raises(AmountMustBePositive):
        Money.parse("-1.00", "EUR")
    with pytest.raises(AmountOutOfRange):
        Money.parse("10000000000000.00", "EUR")


@pytest.mark.parametrize("currency", ["XXX", "XAU", "eur", "EURO", "", "ZZZ", "BTC"])
def test_what_is_no_currency_is_refused(currency: str):
    with pytest.raises(UnknownCurrency):
        exponent_of(currency)


@given(amounts, st.sampled_from(CURRENCIES), st.integers(0, 5))
def test_rescaling_is_exact_or_refused(minor: int, currency: str, exponent: int):
    money = Money(minor, currency)
    try:
        count = money.count_in(exponent)
    except Problem:
        return
    assert count * 10**money.exponent == minor * 10**exponent
    assert rescaled(count, exponent, currency) == money
