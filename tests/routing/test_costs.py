"""What a payment costs at an account, figure by figure, as its tariff says on that day."""

import pytest

from scrooge.routing.costs import NANO, UNPRICED, Costs
from scrooge.routing.facts import Facts
from scrooge.routing.tariff import Fee, Prices, Schedule, Tariff, days, faults, from_toml
from scrooge.routing.when import When

DAY = 86_400 * 1_000_000
CAPS = Schedule(
    name="eea",
    fees=(
        Fee(component="interchange", name="debit, consumer", when=When(funding=("debit", "prepaid"), product=("consumer",), country=("DE", "FR", "NL")), rate="0.2", source="Regulation (EU) 2015/751, article 3"),
        Fee(component="interchange", name="credit, consumer", when=When(funding=("credit",), product=("consumer",), country=("DE", "FR", "NL")), rate="0.3", source="Regulation (EU) 2015/751, article 4"),
        Fee(component="interchange", name="other", rate="1.5"),
    ),
)  # fmt: skip
PLUS = Tariff(
    account="plus", valid_from="2026-01-01", country="DE", area=("FR", "NL"), schedules=("eea",),
    fees=(
        Fee(component="scheme", name="assessment", rate="0.0195"),
        Fee(component="scheme", name="cross border", region="international", rate="0.6"),
        Fee(component="markup", name="acquirer", rate="0.25", fixed={"EUR": "0.05"}),
        Fee(component="markup", name="per attempt", fixed={"EUR": "0.02"}, on="attempt"),
    ),
)  # fmt: skip
BLENDED = Tariff(
    account="flat",
    valid_from="2026-01-01",
    fees=(Fee(component="blended", name="all in", rate="1.4", fixed={"EUR": "0.25", "JPY": "30"}),),
)
COSTS = Costs(Prices(schedules=(CAPS,), tariffs=(PLUS, BLENDED)))


def payment(day="2026-06-01", **more):
    return Facts(
        **{
            "currency": "EUR",
            "minor": 10_000,
            "at": days(day) * DAY,
            "country": "DE",
            "funding": "debit",
            "product": "consumer",
        }
        | more
    )


def cost(account, facts, costs=COSTS):
    """In minor units."""
    return costs.prices(facts)[account].approved(facts.minor) / NANO


@pytest.mark.parametrize(
    ("facts", "minor"),
    [
        # of 100.00: interchange 0.20 + scheme 0.0195 + markup 0.25 + 0.05 + 0.02
        (payment(), 20 + 1.95 + 25 + 5 + 2),
        (payment(funding="credit"), 30 + 1.95 + 25 + 5 + 2),
        (payment(product="commercial"), 150 + 1.95 + 25 + 5 + 2),  # the caps are for consumers' cards only
        (payment(country="US"), 150 + 1.95 + 60 + 25 + 5 + 2),
        (payment(country=""), 150 + 1.95 + 60 + 25 + 5 + 2),  # an unknown issuer is taken to be abroad
    ],
)
def test_interchange_plus_plus_adds_up(facts, minor):
    assert cost("plus", facts) == pytest.approx(minor, abs=1e-9)


def test_blended_is_one_rate_for_all():
    assert cost("flat", payment(country="US", product="commercial")) == 140 + 25
    assert cost("flat", payment(currency="JPY", minor=5000)) == 70 + 30  # yen have no decimals


def test_a_declined_attempt_costs_what_is_taken_per_attempt():
    assert COSTS.prices(payment())["plus"].declined(10_000) == 2 * NANO
    assert COSTS.prices(payment())["flat"].declined(10_000) == 0


def test_the_components_are_told_apart_and_add_up():
    price = COSTS.prices(payment())["plus"]
    parts = price.parts(10_000)
    assert parts == {"interchange": 20 * NANO, "scheme": 1_950_000_000, "markup": 32 * NANO}
    assert sum(parts.values()) == price.approved(10_000)


def test_a_tariff_counts_from_its_first_day_to_its_last():
    old = Tariff(
        account="a",
        valid_from="2025-01-01",
        valid_until="2025-12-31",
        fees=(Fee(component="blended", name="x", rate="2"),),
    )
    new = Tariff(account="a", valid_from="2026-01-01", fees=(Fee(component="blended", name="x", rate="1"),))
    costs = Costs(Prices(tariffs=(old, new)))
    assert [cost("a", payment(day), costs) for day in ("2025-01-01", "2025-12-31", "2026-01-01")] == [200, 200, 100]
    assert "a" not in costs.prices(payment("2024-12-31"))


def test_a_fee_has_its_least_and_its_most():
    fee = Fee(component="blended", name="x", rate="1", least={"EUR": "0.10"}, most={"EUR": "0.50"})
    costs = Costs(Prices(tariffs=(Tariff(account="a", valid_from="2020-01-01", fees=(fee,)),)))
    assert [cost("a", payment(minor=m), costs) for m in (100, 2000, 100_000)] == [10, 20, 50]


def test_what_has_no_price_is_said():
    price = COSTS.prices(payment(currency="SEK"))["flat"]
    assert price.missing == ("all in has no sum in SEK",)
    assert UNPRICED.missing == ("no tariff",)


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        (Prices(tariffs=(BLENDED, BLENDED)), "tariffs[1]: two tariffs of 'flat' are valid on one day"),
        (Prices(tariffs=(PLUS,)), "tariffs[0].schedules: there is no schedule 'eea'"),
        (Prices(tariffs=(Tariff(account="a", valid_from="2026-02-30"),)), "tariffs[0]: '2026-02-30' is no day"),
        (Prices(tariffs=(Tariff(account="a", valid_from="2026-02-02", valid_until="2026-02-01"),)), "tariffs[0]: it ends before it begins"),
        (Prices(tariffs=(Tariff(account="a", valid_from="2026-02-02", fees=(Fee(component="scheme", name="x", region="area"),)),)), "tariffs[0].fees[0]: a region needs the country of the account"),
        (Prices(tariffs=(Tariff(account="a", valid_from="2026-02-02", fees=(Fee(component="scheme", name="x", when=When(country=("UK",))),)),)), "tariffs[0].fees[0].when.country[0]: 'UK' is no country"),
    ],
)  # fmt: skip
def test_prices_that_do_not_hold_together_are_refused(prices, problem):
    assert problem in list(faults(prices))
    with pytest.raises(ValueError, match="tariffs"):
        Costs(prices)


def test_prices_are_read_from_toml():
    text = """
        [[tariffs]]
        account = "flat"
        valid_from = "2026-01-01"
        fees = [{ component = "blended", name = "all in", rate = "1.4", fixed = { EUR = "0.25", JPY = "30" } }]
    """
    assert from_toml(text) == Prices(tariffs=(BLENDED,))
