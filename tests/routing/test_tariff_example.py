"""The example of tariffs that ships holds together, says where each figure is from, and gives the sums of the law."""

from pathlib import Path

import pytest

from scrooge.routing.costs import NANO, Costs
from scrooge.routing.facts import Facts
from scrooge.routing.tariff import days, faults, from_toml

PRICES = from_toml((Path(__file__).parents[2] / "tariffs" / "example.toml").read_bytes())
AT = days("2026-06-01") * 86_400 * 1_000_000


def test_the_example_holds_together_and_every_figure_has_a_source():
    assert list(faults(PRICES)) == []
    fees = [f for s in PRICES.schedules for f in s.fees] + [f for t in PRICES.tariffs for f in t.fees]
    assert all(f.source for f in fees)


@pytest.mark.parametrize(
    ("account", "currency", "facts", "interchange"),
    [
        ("adyen_eu", "EUR", {"country": "DE", "funding": "debit", "product": "consumer"}, 20),
        ("adyen_eu", "EUR", {"country": "NL", "funding": "credit", "product": "consumer"}, 30),
        ("adyen_eu", "EUR", {"country": "FR"}, 30),  # not known which: the dearer of the two
        ("adyen_eu", "EUR", {"country": "FR", "funding": "credit", "product": "commercial"}, 150),
        ("adyen_eu", "EUR", {"country": "US", "funding": "debit"}, 150),
        ("adyen_eu", "EUR", {}, 150),
        ("adyen_us", "USD", {"country": "US", "funding": "debit"}, 27),  # 22 cents and 5 basis points of 100 dollars
        ("adyen_us", "USD", {"country": "US", "funding": "credit"}, 190),
    ],
)
def test_interchange_of_a_hundred(account: str, currency: str, facts: dict[str, str], interchange: int):
    prices = Costs(PRICES).prices(Facts(currency=currency, minor=10_000, at=AT, **facts))  # type: ignore[arg-type]
    assert prices[account].parts(10_000)["interchange"] == interchange * NANO
    assert prices[account].missing == ()
