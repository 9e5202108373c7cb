"""What a policy makes of the articles at one PSP, for one payer; worked examples with the figures of the sources."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scrooge.routing.authenticating import Can, Known, chosen, fraud_ppm, question, settings_of
from scrooge.routing.authentication import counted_in
from scrooge.routing.calendar import day_starts
from scrooge.routing.policy.document import Authentication, FraudRate, Policy, Terms, from_toml, to_json
from scrooge.routing.policy.lint import lint
from scrooge.routing.policy.plan import Compiled

NOW = day_starts("2026-11-22")
ADYEN = Can(frozenset({"low_value", "risk_analysis", "secure_corporate"}))
STRIPE = Can(by_itself=True)
# Article 18's annex: 13 basis points up to EUR 100. This account had 12.5 in the third quarter.
RATES = (FraudRate(account="adyen_eu", quarter="2026-Q3", percent="0.125"),)
SETTINGS = Authentication(fraud_rates=RATES)
EURO = Known(
    acquirer_country="NL", issuer_country="DE", minor=2000, currency="EUR", at=NOW, challengeable=True, low_risk=True
)


def asked(can: Can = ADYEN, settings: Authentication = SETTINGS, account: str = "adyen_eu", **known):
    known = structs.replace(EURO, **known)
    return chosen(question(settings, account, known), known, can)


@pytest.mark.parametrize(
    ("known", "ask", "exemption", "liability"),
    [
        ({}, "exemption", "risk_analysis", "merchant"),  # 12.5 of 13 basis points, EUR 20 of 100
        ({"low_risk": False}, "exemption", "low_value", "merchant"),  # EUR 20 of 30: article 16
        ({"low_risk": False, "used_up": True}, "challenge", "", "issuer"),
        ({"minor": 10_001, "low_risk": True}, "challenge", "", "issuer"),  # above EUR 100 it takes 6 basis points
        ({"sets_up_mandate": True}, "challenge", "", "issuer"),
        ({"declined_softly": True}, "challenge", "", "issuer"),
        ({"declined_softly": True, "challengeable": False}, "nothing", "", "merchant"),
        ({"minor": 50_000, "challengeable": False}, "nothing", "", "merchant"),
        ({"acquirer_country": ""}, "nothing", "", "merchant"),
        ({"issuer_country": "US"}, "nothing", "", "merchant"),
        ({"initiator": "merchant", "minor": 50_000}, "nothing", "", "merchant"),
        ({"initiator": "merchant", "declined_softly": True}, "nothing", "", "merchant"),
        ({"issuer_country": "IN", "initiator": "merchant", "currency": "INR", "minor": 1_500_001}, "payer", "", "merchant"),
        ({"issuer_country": "IN", "initiator": "merchant", "currency": "INR", "minor": 1_500_000}, "nothing", "", "merchant"),
    ],
)  # fmt: skip
def test_what_is_asked_at_a_psp_that_can_be_told(known: dict, ask: str, exemption: str, liability: str):
    choice = asked(**known)
    assert (choice.ask, choice.exemption, choice.liability) == (ask, exemption, liability)
    assert choice.because
    assert choice.source


def test_what_a_psp_asks_for_by_itself_it_is_left_to():
    choice = asked(STRIPE)
    assert (choice.ask, choice.exemption, choice.liability) == ("nothing", "", "merchant")
    assert "by itself" in choice.because
    assert asked(STRIPE, minor=50_001).ask == "challenge", "what no exemption covers it is asked for all the same"


def test_an_exemption_that_a_psp_cannot_be_asked_for_gives_way_to_one_that_it_can():
    assert asked(Can(frozenset({"low_value"}))).exemption == "low_value"
    assert asked(Can()).ask == "challenge"


def test_only_the_exemptions_that_the_policy_names_are_asked_for():
    only = structs.replace(SETTINGS, exemptions=("low_value",))
    assert asked(settings=only).exemption == "low_value"
    assert asked(settings=structs.replace(SETTINGS, exemptions=())).ask == "challenge"


def test_a_mandates_category_has_its_limit():
    """INR 1,00,000 for insurance: RBI's framework of 2026-04-21."""
    rupees = {"issuer_country": "IN", "initiator": "merchant", "currency": "INR", "minor": 10_000_000}
    assert asked(**rupees).ask == "payer"
    assert asked(settings=structs.replace(SETTINGS, mandate_category="insurance"), **rupees).ask == "nothing"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-09-30", None),  # the quarter is not over
        ("2026-10-01", 1300),
        ("2027-03-31", 1300),
        ("2027-04-01", None),  # two quarters later it says nothing any more
    ],
)
def test_a_fraud_rate_counts_for_two_quarters_after_its_own(day: str, expected: int | None):
    rates = [FraudRate(account="a", quarter="2026-Q3", percent="0.13")]
    assert fraud_ppm(rates, "a", day_starts(day)) == expected
    assert fraud_ppm(rates, "b", day_starts(day)) is None


def test_the_latest_rate_counts_and_is_rounded_up():
    rates = [
        FraudRate(account="a", quarter="2026-Q3", percent="0.0601"), FraudRate(account="a", quarter="2026-Q2", percent="0.01"),
    ]  # fmt: skip
    assert fraud_ppm(rates, "a", NOW) == 601, "just above what EUR 250 allows"
    assert fraud_ppm([FraudRate(account="a", quarter="2026-Q3", percent="0.1234")], "a", NOW) == 1234


def test_what_counts_toward_low_value_is_every_payers_payment_within_the_region():
    def counted(**known):
        row = counted_in(question(SETTINGS, "adyen_eu", structs.replace(EURO, **known)))
        return row.currency if row else None

    assert counted() == counted(issuer_country="") == counted(minor=50_000) == "EUR"
    assert counted(acquirer_country="GB", issuer_country="GB") == "GBP"
    assert [counted(issuer_country="US"), counted(initiator="merchant"), counted(acquirer_country="")] == [None] * 3


KNOWN = st.builds(
    Known,
    acquirer_country=st.sampled_from(["NL", "GB", "US", "IN", ""]),
    issuer_country=st.sampled_from(["DE", "GB", "US", "IN", ""]),
    minor=st.integers(1, 2_000_000),
    currency=st.sampled_from(["EUR", "GBP", "INR", "PLN"]),
    at=st.just(NOW),
    initiator=st.sampled_from(["customer", "merchant"]),
    sets_up_mandate=st.booleans(),
    declined_softly=st.booleans(),
    challengeable=st.booleans(),
    low_risk=st.booleans(),
    used_up=st.booleans(),
)


@given(KNOWN, st.sampled_from([ADYEN, STRIPE, Can()]))
def test_after_a_soft_decline_nothing_is_asked_for_but_the_payer(known: Known, can: Can):
    choice = chosen(question(SETTINGS, "adyen_eu", known), known, can)
    assert choice.exemption in {"", *can.exemptions}
    assert (choice.ask == "exemption") is bool(choice.exemption)
    if known.declined_softly:
        assert choice.ask == ("challenge" if known.challengeable and known.initiator == "customer" else "nothing")
    if choice.ask == "challenge":
        assert known.challengeable
    if choice.ask == "payer":
        assert known.issuer_country == "IN"


# --- the policy's part ----------------------------------------------------------------------

POLICY = """
name = "europe"
accounts = { adyen_eu = {} }
[authentication]
exemptions = ["low_value", "risk_analysis"]
fraud_rates = [{ account = "adyen_eu", quarter = "2026-Q3", percent = "0.12" }]
"""


def test_a_policy_that_holds_together_says_so():
    assert lint(from_toml(POLICY), {"adyen_eu"}) == []
    assert settings_of(Compiled(from_toml(POLICY))) == from_toml(POLICY).authentication
    assert settings_of(None) is None


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('account = "adyen_eu"', 'account = "nobody"', "authentication.fraud_rates[0].account"),
        ('percent = "0.12"', 'percent = "101"', "authentication.fraud_rates[0].percent"),
        ('"0.12" }', '"0.12" }, { account = "adyen_eu", quarter = "2026-Q3", percent = "0.1" }',
         "authentication.fraud_rates[1]"),
        ('name = "europe"', 'name = "europe"\ncaller = "shop"', "authentication"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_told_with_the_place(old: str, new: str, place: str):
    assert [f.place for f in lint(from_toml(POLICY.replace(old, new)), {"adyen_eu"})] == [place]


@pytest.mark.parametrize(("old", "new"), [("risk_analysis", "anything"), ("2026-Q3", "2026-Q5"), ("0.12", "-1")])
def test_words_that_the_schema_does_not_know_are_refused(old: str, new: str):
    with pytest.raises(msgspec.ValidationError):
        from_toml(POLICY.replace(old, new))


def test_a_policy_without_it_is_the_version_that_it_was():
    assert b"authentication" not in to_json(Policy(name="p", accounts={"a": Terms()}))


def test_a_callers_policy_does_not_choose_who_bears_the_fraud():
    outer = Compiled(from_toml(POLICY.split("[authentication]")[0]))
    assert settings_of(Compiled(from_toml(POLICY), outer)) is None
