"""A decision says who may take a payment, who takes it first, with which probability, and why the others do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from scrooge.routing.choose import Candidate
from scrooge.routing.costs import Costs
from scrooge.routing.decide import decide
from scrooge.routing.decision import Knowledge
from scrooge.routing.estimates import Estimates
from scrooge.routing.facts import Facts
from scrooge.routing.health import Health, State
from scrooge.routing.learning import learn, note
from scrooge.routing.lessons import APPROVAL, FAILURE, Heard
from scrooge.routing.matching import best_shares, drawn
from scrooge.routing.policy.document import Policy, Rule, Scorer, Terms, Volume
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.shares import Shares
from scrooge.routing.switches import Manual
from scrooge.routing.tariff import Fee, Prices, Tariff
from scrooge.routing.volumes import Used
from scrooge.routing.when import Range, When

AT = 1_700_000_000_000_000


class Belief(Struct):
    value: float
    doubt: float


NAMES = ("adyen", "stripe", "third")


def known(**more):
    return Knowledge(**{"estimates": Estimates(), "costs": Costs(), "health": Health(), "shares": Shares()} | more)


def payment(**more):
    return Facts(**{"currency": "EUR", "minor": 1000, "at": AT, "country": "DE", "brand": "visa"} | more)


def policy(*rules, **more):
    return Policy(name="p", accounts={n: Terms() for n in NAMES} | more.pop("accounts", {}), rules=rules, **more)


def candidates(*names, **more):
    return [Candidate(f"con_{n}", n, True, False, True, **more) for n in names or NAMES]


def decided(p=None, facts=None, knowledge=None, chance=0.5, those=None, **more):
    return decide(
        facts or payment(), Compiled(p or policy()), those or candidates(), knowledge or known(), chance, **more
    )


def taught(knowledge, account, approved, declined, facts=None, at=AT):
    """So many outcomes, in an even order."""
    total = approved + declined
    for i in range(total):
        fails = (i + 1) * declined // total > i * declined // total
        knowledge.estimates.learn(facts or payment(), account, FAILURE if fails else APPROVAL, at)


def test_the_account_that_is_likely_to_approve_comes_first_and_is_chosen_nearly_always():
    k = known()
    taught(k, "con_stripe", 400, 20)
    taught(k, "con_adyen", 400, 200)
    taught(k, "con_third", 400, 200)
    found = decided(knowledge=k)
    assert found.accounts[0] == "con_stripe"
    assert found.propensity > 0.99
    assert found.because == "by expected value"


def test_of_accounts_that_approve_alike_the_cheaper_comes_first():
    """10 % margin of 10.00 is 1.00; 2.9 % + 0.30 leaves 0.41 and 0.8 % leaves 0.92, at the same approval."""
    fees = {
        "con_adyen": Fee(component="blended", name="b", rate="0.8"),
        "con_stripe": Fee(component="blended", name="b", rate="2.9", fixed={"EUR": "0.30"}),
    }
    costs = Costs(Prices(tariffs=tuple(Tariff(account=a, valid_from="2020-01-01", fees=(f,)) for a, f in fees.items())))
    k = known(costs=costs)
    for account in fees:
        taught(k, account, 900, 100)
    found = decided(knowledge=k, those=candidates("stripe", "adyen"))
    assert [s.cost_nano for s in found.scores] == [8_000_000_000, 59_000_000_000]
    assert found.accounts == ("con_adyen", "con_stripe")
    assert found.scores[0].value == pytest.approx(found.scores[0].approval * 92, rel=1e-6)


def test_the_same_knowledge_and_chance_decide_the_same():
    k = known()
    taught(k, "con_stripe", 40, 20)
    assert decided(knowledge=k, chance=0.37) == decided(knowledge=k, chance=0.37)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e5)), min_size=1, max_size=25), st.floats(0, 0.05))
def test_shares_add_up_to_one_and_none_is_below_the_floor(beliefs, floor):
    shares = best_shares([Belief(v, d) for v, d in beliefs], floor)
    assert sum(shares) == pytest.approx(1.0)
    assert all(s >= min(floor, 0.5 / len(beliefs)) - 1e-12 for s in shares) or len(beliefs) == 1


def test_of_two_accounts_each_is_chosen_as_often_as_it_is_better():
    """Thompson's probability of two normal beliefs, 3 apart with deviations 3 and 4: Phi(3/5) = 0.7257."""
    assert best_shares([Belief(3.0, 3.0), Belief(0.0, 4.0)], 0.0) == pytest.approx([0.7257, 0.2743], abs=1e-4)


def test_the_propensity_is_the_frequency_with_which_it_is_drawn():
    shares = best_shares([Belief(1.0, 0.5), Belief(0.7, 0.5), Belief(0.1, 0.2)], 0.01)
    counts = [0, 0, 0]
    for i in range(100_000):
        counts[drawn(shares, (i + 0.5) / 100_000)] += 1
    assert counts == pytest.approx([s * 100_000 for s in shares], abs=1.5)


def test_every_account_that_may_take_it_has_a_propensity_and_its_share_is_recorded():
    found = decided()
    assert sum(s.share for s in found.scores) == pytest.approx(1.0)
    assert found.scores[0].share == found.propensity
    assert all(s.share > 0 for s in found.scores)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, "paused or draining"),
        ({"livemode": True}, "test and live do not mix"),
        ({"can_authorize": False}, "its connector cannot authorize"),
        ({"pressure": "too many requests at it"}, "too many requests at it"),
        ({"obstacle": "no vault is set up"}, "no vault is set up"),
        ({"name": "stranger"}, "the policy does not name it"),
        ({"name": "stranger", "pressure": "its line is full"}, "the policy does not name it"),
        ({"misfit": "no such amount"}, "no such amount"),
        ({"misfit": "no such amount", "pressure": "its line is full"}, "no such amount"),
    ],
)
def test_an_account_that_may_not_take_it_is_excluded_with_the_reason(change, reason):
    adyen, *others = candidates()
    found = decided(those=[structs.replace(adyen, **change), *others])
    assert found.excluded == {change.get("name", "adyen"): reason}
    assert "con_adyen" not in found.accounts


def test_what_a_payment_needs_an_account_must_be_able_to_do():
    those = [*candidates("adyen", can=frozenset({"manual_capture"})), *candidates("stripe")]
    found = decided(facts=payment(needs=frozenset({"manual_capture"})), those=those)
    assert found.accounts == ("con_adyen",)
    assert found.excluded == {"stripe": "it cannot do: manual_capture"}


def test_an_account_takes_what_its_terms_say():
    p = policy(accounts={"adyen": Terms(takes=(When(currency=("EUR",), amount=(Range("EUR", max="9.99"),)),))})
    assert decided(p).excluded == {"adyen": "its terms do not take such a payment"}
    assert decided(p, payment(minor=999)).excluded == {}


def test_a_payment_never_goes_twice_to_an_account():
    assert decided(tried={"con_adyen"}).excluded == {"adyen": "this payment has been there"}


def test_a_listed_order_is_kept_whatever_the_scores():
    k = known()
    taught(k, "con_adyen", 500, 0)
    found = decided(policy(Rule(name="order", use=("third", "adyen"))), knowledge=k)
    assert (found.way, found.accounts, found.propensity) == ("listed", ("con_third", "con_adyen"), 1.0)
    assert found.excluded == {"stripe": "not among those of 'order'"}
    assert found.rules == ("order",)


@pytest.mark.parametrize(
    ("chance", "first"), [(0.0, "con_adyen"), (0.69, "con_adyen"), (0.71, "con_third"), (0.999, "con_third")]
)
def test_a_split_gives_each_its_share(chance, first):
    found = decided(policy(Rule(name="s", split={"adyen": "70", "third": "30"})), chance=chance)
    assert (found.accounts[0], found.way) == (first, "split")
    assert found.propensity == pytest.approx(0.7 if first == "con_adyen" else 0.3)


def test_the_share_of_an_account_that_may_not_take_it_goes_to_the_others():
    found = decided(policy(Rule(name="s", split={"adyen": "50", "third": "30", "stripe": "20"})), tried={"con_adyen"})
    assert {s.name: round(s.share, 9) for s in found.scores} == {"third": 0.6, "stripe": 0.4}


def test_a_preference_decides_between_equals_and_not_against_much_better():
    p = policy(Rule(name="like", prefer=("third",)))
    k = known()
    for account in ("con_adyen", "con_stripe", "con_third"):
        taught(k, account, 1800, 200)
    assert decided(p, knowledge=k, chance=0.5).accounts[0] == "con_third"
    taught(k, "con_third", 0, 1500)
    assert decided(p, knowledge=k).accounts[0] != "con_third"


def test_a_stored_credential_stays_where_it_was_approved_unless_the_gap_is_large():
    k = known(sticky="con_adyen")
    mine = payment(initiator="merchant")
    for account, declined in (("con_adyen", 240), ("con_stripe", 200), ("con_third", 600)):
        taught(k, account, 1800, declined, mine)
    found = decided(facts=mine, knowledge=k)
    assert (found.accounts[0], found.way, found.propensity) == ("con_adyen", "sticky", 1.0)
    assert decided(facts=payment(), knowledge=k).way == "scored"
    taught(k, "con_adyen", 0, 800, mine)
    assert decided(facts=mine, knowledge=k).accounts[0] == "con_stripe"


def test_what_the_caller_asks_for_is_the_only_one_tried():
    found = decided(policy(Rule(name="order", use=("third",))), only="adyen")
    assert (found.accounts, found.way, found.propensity) == (("con_adyen",), "pinned", 1.0)
    banned = decided(policy(Rule(name="no", exclude=("adyen",))), only="adyen")
    assert banned.accounts == ()
    assert banned.excluded["adyen"] == "excluded by 'no'"


def test_switched_off_by_hand_until_a_moment_and_for_a_reason():
    switch = Manual(account="con_adyen", state=State.OFF, reason="audit", until=AT + 10)
    k = known(manual={"con_adyen": [switch]})
    assert decided(knowledge=k).excluded == {"adyen": "switched to off: audit"}
    assert decided(knowledge=k, facts=payment(at=AT + 10)).excluded == {}


def test_a_switch_may_be_about_some_payments_only():
    switch = Manual(account="con_adyen", state=State.DRAIN, reason="fraud", when=When(country=("BR",)))
    k = known(manual={"con_adyen": [switch]})
    assert decided(knowledge=k).excluded == {}
    assert decided(knowledge=k, facts=payment(country="BR")).excluded == {"adyen": "switched to drain: fraud"}


def test_when_no_account_is_well_the_unwell_are_tried_but_not_those_that_an_operator_switched_off():
    k = known(manual={"con_third": [Manual(account="con_third", state=State.OFF, reason="r")]})
    for account in ("con_adyen", "con_stripe"):
        for _ in range(20):
            for other in ("con_third",):
                learn(k, payment(), other, Heard.APPROVED, AT)
            learn(k, payment(), account, Heard.TECHNICAL, AT)
    assert set(k.health.troubles) == {"con_adyen", "con_stripe"}
    found = decided(knowledge=k)
    assert set(found.accounts) == {"con_adyen", "con_stripe"}
    assert found.because == "no account is well"


def test_a_contract_limit_that_is_reached_excludes_and_a_commitment_that_is_behind_attracts():
    volumes = (
        Volume(account="adyen", currency="EUR", most="100.00"),
        Volume(account="third", currency="EUR", least="1000.00", shortfall="5"),
    )
    k = known(volumes={("adyen", "EUR", "month"): Used(9_001, 0.5), ("third", "EUR", "month"): Used(10_000, 0.5)})
    found = decided(policy(volumes=volumes), knowledge=k)
    assert found.excluded == {"adyen": "its contract's limit for the month is reached"}
    assert {s.name: s.steering for s in found.scores} == {"third": pytest.approx(50.0), "stripe": 0.0}
    on_time = known(volumes={("third", "EUR", "month"): Used(60_000, 0.5)})
    assert all(s.steering == 0.0 for s in decided(policy(volumes=volumes), knowledge=on_time).scores)


def test_outside_the_scope_nobody_takes_it():
    found = decided(policy(scope=(When(currency=("EUR",)),)), payment(currency="JPY"))
    assert found.accounts == ()
    assert set(found.excluded.values()) == {"outside the policy's scope"}


def test_shares_of_all_payments_move_no_faster_than_they_may():
    """An account that suddenly looks best has about a tenth of the payments more after a minute, not all."""
    k, p = known(), policy()
    taught(k, "con_adyen", 900, 100)
    taught(k, "con_stripe", 850, 150)
    taught(k, "con_third", 850, 150)
    compiled = Compiled(p)

    def minute(start, n=600):
        took = 0
        for i in range(n):
            facts = payment(at=start + i * 60_000_000 // n)
            found = decide(facts, compiled, candidates(), k, (i * 0.6180339) % 1.0)
            note(k, found, p.scorer, facts)
            took += found.accounts[0] == "con_stripe"
        return took / n

    for m in range(4):
        before = minute(AT + m * 60_000_000)
    taught(k, "con_adyen", 0, 300)
    taught(k, "con_stripe", 300, 0)
    after = [minute(AT + m * 60_000_000) for m in (4, 5, 6)]
    assert before < 0.05
    assert 0.08 < after[0] < 0.3
    assert after == sorted(after)


def test_scorer_settings_without_boldness_choose_the_best_but_for_the_floor():
    k = known()
    taught(k, "con_stripe", 58, 2)
    found = decided(policy(scorer=Scorer(boldness=0.0, floor=0.01)), knowledge=k)
    assert sorted(s.share for s in found.scores) == pytest.approx([0.01, 0.01, 0.98])
