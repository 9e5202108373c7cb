"""Each PSP's own minor units against ISO 4217's: the hundredfold mistakes live in the difference.

Sources: docs.stripe.com/currencies (zero-decimal and special cases) and
docs.adyen.com/development-resources/currency-codes.
"""

from functools import cache

from iso4217 import Currency

_STRIPE_ZERO = ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
_EXPONENTS: dict[str, dict[str, int]] = {
    "stripe": dict.fromkeys(_STRIPE_ZERO, 0) | {"ISK": 2, "UGX": 2},
    "adyen": {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2},
}


class NotRepresentable(ValueError):
    """This many of the PSP's units are not a whole number of ISO minor units, or not allowed."""


@cache
def is_currency(currency: str) -> bool:
    """Is this an ISO 4217 code with a minor unit (so not gold, not test codes)?"""
    try:
        return Currency(currency).exponent is not None
    except ValueError:
        return False


@cache
def _step(connector: str, currency: str) -> tuple[int, int]:
    """(multiply by, divide by) from the PSP's units to ISO minor units."""
    iso = Currency(currency).exponent or 0
    own = _EXPONENTS[connector].get(currency, iso)
    return (10 ** (iso - own), 1) if iso >= own else (1, 10 ** (own - iso))


def to_minor(connector: str, currency: str, units: int) -> int:
    """ISO minor units of an amount in the PSP's units; raises NotRepresentable on a remainder."""
    times, per = _step(connector, currency)
    minor, rest = divmod(units * times, per)
    # Stripe takes three-decimal currencies only with a last digit of zero.
    odd = connector == "stripe" and Currency(currency).exponent == 3 and units % 10
    if rest or odd:
        raise NotRepresentable(f"{units} {currency}")
    return minor


def shown(currency: str, minor: int) -> str:
    """An amount in ISO minor units as a payer reads it."""
    exponent = Currency(currency).exponent or 0
    whole, rest = divmod(minor, 10**exponent)
    return f"{whole:,}.{rest:0{exponent}} {currency}" if exponent else f"{whole:,} {currency}"


def to_units(connector: str, currency: str, minor: int) -> int:
    """The PSP's units of an amount in ISO minor units."""
    times, per = _step(connector, currency)
    return minor * per // times
