"""Who is asked to authenticate, by the articles' own figures; and a request for exemption is only ever for what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scrooge.routing.authentication import Choice, Question, after_soft_decline, choose, table
from scrooge.routing.calendar import DAY, HOUR, day_starts

NOW = day_starts("2026-11-22")
EURO = Question(issuer_country="DE", acquirer_country="NL", minor=5000, currency="EUR", at=NOW)
UK = structs.replace(EURO, issuer_country="GB", acquirer_country="GB", currency="GBP")
RUPEES = structs.replace(EURO, issuer_country="IN", acquirer_country="IN", currency="INR", initiator="merchant")


def asked(q: Question, **facts) -> str:
    choice = choose(structs.replace(q, **facts))
    assert choice.because
    assert choice.source
    return choice.exemption or choice.ask


@pytest.mark.parametrize(
    ("minor", "before", "expected"),
    [
        (3000, (0, 0), "low_value"),  # "does not exceed EUR 30"
        (3001, (0, 0), "challenge"),
        (3000, (5, 10_000), "low_value"),  # five before, or EUR 100 before, are not yet too many
        (3000, (6, 0), "challenge"),
        (3000, (0, 10_001), "challenge"),
    ],
)
def test_low_value_is_article_16s(minor: int, before: tuple[int, int], expected: str):
    assert asked(EURO, minor=minor, since_authenticated=before) == expected


@pytest.mark.parametrize(
    ("minor", "ppm", "expected"),
    [
        (10_000, 1300, "risk_analysis"),
        (10_000, 1301, "challenge"),
        (10_001, 1300, "challenge"),
        (25_000, 600, "risk_analysis"),
        (25_001, 600, "challenge"),
        (50_000, 100, "risk_analysis"),
        (50_001, 1, "challenge"),
        (5_000, None, "challenge"),
    ],
)
def test_risk_analysis_is_the_annex_of_article_18(minor: int, ppm: int | None, expected: str):
    """13, 6 and 1 basis points up to EUR 100, 250 and 500; and only after a look at this very payment."""
    assert asked(EURO, minor=minor, fraud_ppm=ppm, found_low_risk=True) == expected
    assert asked(EURO, minor=minor, fraud_ppm=ppm) == "challenge"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"initiator": "merchant"}, "nothing"),
        ({"initiator": "merchant", "mandate_authenticated": False}, "payer"),
        ({"sets_up_mandate": True, "minor": 100}, "challenge"),
        ({"by_phone_or_mail": True}, "nothing"),
        ({"anonymous": True}, "nothing"),
        ({"issuer_country": "US"}, "nothing"),
        ({"acquirer_country": "US"}, "nothing"),
        ({"acquirer_country": ""}, "nothing"),  # the PSP decides, as it does without us
        ({"minor": 100, "exemptions": frozenset()}, "challenge"),
        ({"minor": 100, "exemptions": frozenset({"risk_analysis"})}, "challenge"),
        ({"issuer_country": "GB"}, "nothing"),  # one leg out since 2021
        ({"issuer_country": "US", "acquirer_country": "US"}, "nothing"),
        ({"issuer_country": ""}, "challenge"),  # it may be one of the region's
        ({"corporate": True}, "secure_corporate"),
        ({"same_amount_authenticated_first": True}, "recurring"),
        ({"minor": 100, "ask_exemptions": False}, "challenge"),
        ({"minor": 100, "declined_softly": True}, "challenge"),
        ({"authenticated_minor": 5000}, "nothing"),
        ({"authenticated_minor": 4999}, "challenge"),  # art. 5: what was authenticated is this amount
        ({"currency": "PLN"}, "challenge"),
        ({"currency": "PLN", "converted": {"EUR": 1200}}, "low_value"),
    ],
)
def test_who_is_asked_in_the_eea(facts: dict, expected: str):
    assert asked(EURO, **facts) == expected


def test_a_rule_is_asked_for_from_its_first_day():
    assert asked(EURO, minor=100, at=day_starts("2019-09-14") - 1) == "challenge"
    assert asked(EURO, minor=100, at=day_starts("2019-09-14")) == "low_value"


def test_the_uk_has_its_own_amounts():
    assert [asked(UK, minor=m) for m in (2500, 2501)] == ["low_value", "challenge"]
    assert asked(UK, minor=8500, fraud_ppm=1300, found_low_risk=True) == "risk_analysis"
    assert asked(UK, minor=8501, fraud_ppm=1300, found_low_risk=True) == "challenge"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"minor": 1_500_000}, "nothing"),  # INR 15,000
        ({"minor": 1_500_001}, "payer"),
        ({"minor": 10_000_000, "category": "insurance"}, "nothing"),  # INR 1,00,000
        ({"minor": 10_000_001, "category": "mutual_fund"}, "payer"),
        ({"minor": 100, "mandate_minor": 99}, "payer"),
        ({"minor": 100, "mandate_until": NOW - 1}, "payer"),
        ({"minor": 100, "mandate_authenticated": False}, "payer"),
        ({"minor": 100, "initiator": "customer"}, "challenge"),
        ({"minor": 100, "currency": "USD"}, "nothing"),  # nobody knows what it is in rupees: the issuer does
        ({"minor": 600_000, "at": day_starts("2022-06-15")}, "payer"),  # INR 5,000 until then
        ({"minor": 600_000, "at": day_starts("2022-06-16")}, "nothing"),
        ({"minor": 100, "acquirer_country": "US"}, "nothing"),  # cross-border debits too
    ],
)
def test_india_asks_above_the_mandates_limits(facts: dict, expected: str):
    assert asked(RUPEES, **facts) == expected


def test_an_indian_payer_is_told_a_day_before():
    assert choose(structs.replace(RUPEES, minor=100)).notice_by == NOW - 24 * HOUR
    assert choose(structs.replace(RUPEES, minor=100, category="fastag")).notice_by is None


def test_after_a_soft_decline_no_exemption_is_asked_for_again():
    cheap = structs.replace(EURO, minor=100)
    assert choose(cheap).ask == "exemption"
    assert after_soft_decline(cheap).ask == "challenge"
    assert after_soft_decline(structs.replace(cheap, initiator="merchant")).ask == "payer"
    assert after_soft_decline(structs.replace(cheap, issuer_country="US")).ask == "challenge", "wherever it is from"


QUESTIONS = st.builds(
    Question,
    issuer_country=st.sampled_from(["DE", "FR", "GB", "US", "IN", ""]),
    acquirer_country=st.sampled_from(["NL", "GB", "US", "IN"]),
    minor=st.integers(0, 200_000),
    currency=st.sampled_from(["EUR", "GBP", "INR", "PLN"]),
    at=st.integers(day_starts("2019-01-01") // DAY, NOW // DAY).map(lambda d: d * DAY),
    initiator=st.sampled_from(["customer", "merchant"]),
    sets_up_mandate=st.booleans(),
    mandate_authenticated=st.booleans(),
    found_low_risk=st.booleans(),
    fraud_ppm=st.none() | st.integers(0, 3000),
    since_authenticated=st.tuples(st.integers(0, 9), st.integers(0, 20_000)),
    declined_softly=st.booleans(),
    ask_exemptions=st.booleans(),
)


@given(QUESTIONS)
def test_an_exemption_is_the_payers_payment_in_one_region_and_the_merchants_risk(q: Question):
    choice: Choice = choose(q)
    if choice.ask == "exemption":
        assert q.initiator == "customer"
        assert not q.sets_up_mandate
        assert not q.declined_softly
        assert q.ask_exemptions
        assert choice.liability == "merchant"
        assert q.at >= day_starts("2019-09-14")
    if choice.ask == "challenge":
        assert q.initiator == "customer", "nobody can be challenged who is not there"
    if q.declined_softly:
        assert choice.ask in ("challenge", "payer")


def test_every_rule_names_its_source():
    for row in (*table().exemption, *table().mandate):
        assert row.source
        assert day_starts(row.since) < NOW
