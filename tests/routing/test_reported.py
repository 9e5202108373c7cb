"""Expected fees are told by where the issuer is, seen from the account, and add up."""

import pytest

from scrooge.routing.reported import Captured, Part, Posted, after, region_of, reported, starts
from scrooge.routing.tariff import Prices, Tariff

HERE = Prices(
    tariffs=(
        Tariff(account="adyen", valid_from="2026-01-01", valid_until="2026-11-15", country="FR"),
        Tariff(account="adyen", valid_from="2026-11-16", country="NL", area=("DE", "FR")),
        Tariff(account="stripe", valid_from="2026-01-01"),
    )
)


def part(account: str = "adyen", month: str = "2026-11", brand: str = "visa") -> Part:
    return Part(month=month, account=account, brand=brand, currency="EUR")


@pytest.mark.parametrize(
    ("account", "month", "country", "region"),
    [
        ("adyen", "2026-11", "NL", "domestic"),
        ("adyen", "2026-11", "DE", "area"),
        ("adyen", "2026-11", "US", "international"),
        ("adyen", "2026-11", "", "unknown"),
        ("adyen", "2026-10", "FR", "domestic"),
        ("adyen", "2025-10", "FR", "unknown"),
        ("stripe", "2026-11", "FR", "unknown"),
        ("another", "2026-11", "FR", "unknown"),
    ],
)
def test_a_region_is_that_of_the_tariff_of_the_months_last_day(account: str, month: str, country: str, region: str):
    assert region_of(part(account, month), country, HERE) == region


def test_countries_of_one_region_are_one_line_and_their_sums_add_up():
    found = reported(
        [Posted(part(), "DE", "interchange", 20), Posted(part(), "FR", "interchange", 30),
         Posted(part(), "FR", "markup", 5), Posted(part(), "US", "interchange", 9)],
        [Captured(part(), "DE", 1, 10_000), Captured(part(), "FR", 2, 1_000)],
        HERE,
    )  # fmt: skip
    assert [
        (line.part.region, line.components, line.fees, line.captures, line.captured, line.bps) for line in found
    ] == [
        ("area", {"interchange": 50, "markup": 5}, 55, 3, 11_000, 50.0),
        ("international", {"interchange": 9}, 9, 0, 0, None),
    ]


def test_what_costs_nothing_is_told_too():
    [line] = reported([], [Captured(part(), "NL", 1, 500)], HERE)
    assert (line.fees, line.bps) == (0, 0.0)


def test_a_month_ends_where_the_next_begins():
    assert after("2026-12") == "2027-01"
    assert starts("1970-02") == 31 * 86_400 * 1_000_000
