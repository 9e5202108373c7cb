"""What is believed of an account follows its outcomes, and its parents' where it has few."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.domain.declines import Decline
from scrooge.routing.estimates import Estimates, Kept, Settings, keep
from scrooge.routing.facts import Facts
from scrooge.routing.lessons import APPROVAL, FAILURE, WEIGHTS, Heard, Lesson, lesson

HOUR = 3600 * 1_000_000
AT = 1_700_000_000_000_000


def payment(iin="41111111", issuer="Bank", country="DE", brand="visa", **more):
    return Facts(currency="EUR", minor=1000, at=AT, iin=iin, issuer=issuer, country=country, brand=brand, **more)


def taught(e, account, facts, rate, times, seed=1):
    chance = random.Random(seed)
    for _ in range(times):
        e.learn(facts, account, APPROVAL if chance.random() < rate else FAILURE, AT)


def test_before_any_outcome_the_estimate_is_about_the_prior():
    assert Estimates(Settings(prior=0.8)).estimate(payment(), "a", AT).approval == pytest.approx(0.8)


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9, 0.97])
def test_with_many_outcomes_the_estimate_is_the_rate(rate):
    e = Estimates()
    taught(e, "a", payment(), rate, 3000)
    assert e.estimate(payment(), "a", AT).approval == pytest.approx(rate, abs=0.03)


def test_a_segment_without_outcomes_is_judged_by_its_parents():
    """The same account, another BIN of the same issuer: nearer to what is known there than to the prior."""
    e = Estimates(Settings(prior=0.9))
    taught(e, "a", payment(), 0.4, 1000)
    known = e.estimate(payment(iin="42222222"), "a", AT).approval
    issuer = e.estimate(payment(iin="42222222", issuer="Other"), "a", AT).approval
    country = e.estimate(payment(iin="42222222", issuer="Other", country="FR"), "a", AT).approval
    assert 0.4 < known < issuer < country < 0.9


def test_an_account_that_gets_the_difficult_cards_is_not_taken_for_a_bad_one():
    """Both are alike in both countries; one was sent mostly the country in which everybody declines more."""
    e = Estimates()
    easy, hard = payment(country="DE", issuer="E", iin="411111"), payment(country="BR", issuer="H", iin="422222")
    chance = random.Random(3)
    for _ in range(6000):
        account, facts = chance.choice(
            [
                ("a", easy),
                ("b", hard),
                ("a", hard if chance.random() < 0.1 else easy),
                ("b", easy if chance.random() < 0.1 else hard),
            ]
        )
        e.learn(facts, account, APPROVAL if chance.random() < (0.95 if facts is easy else 0.5) else FAILURE, AT)
    new = payment(country="FR", issuer="N", iin="433333")
    gap = e.estimate(new, "a", AT).approval - e.estimate(new, "b", AT).approval
    assert abs(gap) < 0.12  # their approval rates over everything are 0.36 apart


def test_what_is_read_together_is_what_is_read_alone_before_and_after_every_lesson():
    """What is kept of an effect between lessons is never out of date, whoever learned it."""
    e, chance = Estimates(), random.Random(5)
    for n in range(200):
        facts, at = payment(iin=chance.choice(["41111111", "42222222"])), AT + n * HOUR // 200
        among = ["a", "b", "c"] if n % 7 else ["c", "a"]
        fresh = Estimates()
        fresh.effects = e.effects
        alone = [fresh.estimate(facts, account, at) for account in among]
        assert e.estimates(facts, among, at) == alone
        if n % 3 == 0:
            e.learn(facts, chance.choice("abc"), APPROVAL if chance.random() < 0.8 else FAILURE, at)
        if n % 50 == 0:
            e.export()
            e.load([Kept(("a", "country", "visa", "DE"), 3.0, float(n) / 50, at)])


def test_what_was_learned_fades_with_time():
    e = Estimates(Settings(prior=0.9, half_life_hours=10))
    taught(e, "a", payment(), 0.2, 200)
    beliefs = [e.estimate(payment(), "a", AT + hours * HOUR).approval for hours in (0, 20, 60, 400)]
    assert beliefs == sorted(beliefs)
    assert beliefs[0] < 0.3
    assert beliefs[-1] > 0.8


def test_doubt_shrinks_with_outcomes_and_grows_again_with_time():
    e = Estimates()
    first = e.estimate(payment(), "a", AT).variance
    taught(e, "a", payment(), 0.8, 300)
    after = e.estimate(payment(), "a", AT).variance
    assert after < first
    assert after < e.estimate(payment(), "a", AT + 200 * HOUR).variance < first * 1.001


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 10**13)), max_size=30))
def test_an_estimate_is_always_a_probability(outcomes):
    e = Estimates()
    for account, approved, later in outcomes:
        e.learn(payment(), account, Lesson(approved, 1.0), AT + later)
    for account in "abc":
        found = e.estimate(payment(), account, AT + 10**13)
        assert 0.0 < found.approval < 1.0
        assert found.variance > 0.0


def test_what_two_processes_learn_adds_up_to_what_one_would_have_learned():
    """Each tells the other through what is kept; the result is near that of one process that heard everything."""
    one, two, alone = Estimates(), Estimates(), Estimates()
    kept: dict = {}
    chance = random.Random(5)
    for i in range(3000):
        lessons = APPROVAL if chance.random() < 0.7 else FAILURE
        (one, two)[i % 2].learn(payment(), "a", lessons, AT + i)
        alone.learn(payment(), "a", lessons, AT + i)
        if i % 50 == 0:
            for process in (one, two):
                kept = keep(kept, process.export(), process.settings)
            for process in (one, two):
                process.load(kept.values())
    rates = [e.estimate(payment(), "a", AT).approval for e in (one, two, alone)]
    assert rates == pytest.approx([rates[2]] * 3, abs=0.02)


def test_what_is_kept_survives_a_restart():
    e = Estimates()
    taught(e, "a", payment(), 0.6, 500)
    fresh = Estimates()
    fresh.load(keep({}, e.export(), e.settings).values())
    assert fresh.estimate(payment(), "a", AT) == pytest_like(e.estimate(payment(), "a", AT))


def pytest_like(found):
    return type(found)(pytest.approx(found.odds, rel=1e-6), pytest.approx(found.variance, rel=1e-6))


def test_loading_keeps_what_is_not_exported_yet():
    e = Estimates()
    taught(e, "a", payment(), 0.1, 100)
    low = e.estimate(payment(), "a", AT).approval
    e.load([Kept(("a",), 0.0, 0.0, AT)])
    assert e.estimate(payment(), "a", AT).approval == pytest.approx(low, abs=1e-6)


def test_the_parts_add_up_to_the_log_odds():
    e = Estimates()
    taught(e, "a", payment(), 0.6, 2000)
    total = sum(e.parts(payment(), "a", AT).values())
    assert total == pytest.approx(e.estimate(payment(), "a", AT).odds)


def test_every_decline_says_how_much_it_teaches():
    assert set(WEIGHTS) == set(Decline)


@pytest.mark.parametrize(
    ("heard", "decline", "weight"),
    [
        (Heard.APPROVED, None, 1.0),
        (Heard.DECLINED, Decline.DO_NOT_HONOR, 1.0),
        (Heard.DECLINED, Decline.STOLEN_CARD, 0.0),
        (Heard.DECLINED, Decline.EXPIRED_CARD, 0.0),
        (Heard.DECLINED, Decline.INSUFFICIENT_FUNDS, 0.0),
        (Heard.TECHNICAL, None, 1.0),
        (Heard.LATE, None, 0.0),
    ],
)
def test_only_outcomes_that_say_something_about_the_route_teach(heard, decline, weight):
    assert lesson(heard, decline).weight == weight
    e = Estimates()
    before = e.estimate(payment(), "a", AT)
    e.learn(payment(), "a", lesson(heard, decline), AT)
    assert (e.estimate(payment(), "a", AT) == before) is (weight == 0.0)
