"""A policy is refused with the place and a payment that shows what is wrong; and what is not wrong is not refused."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scrooge.routing.facts import Facts
from scrooge.routing.policy.diff import changes, moved
from scrooge.routing.policy.document import Policy, Rule, Terms, Volume, from_json, from_toml, to_json
from scrooge.routing.policy.lint import lint, stranded
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.when import Not, Range, When, unmet

A, B, C = "adyen", "bank", "card"
EUROS = When(currency=("EUR",))


def policy(*rules, accounts=(A, B), **more):
    return Policy(name="p", accounts={n: Terms() for n in accounts} | more.pop("terms", {}), rules=rules, **more)


def found(p, **more):
    return [(f.place, f.problem) for f in lint(p, **more)]


def test_a_policy_without_faults_has_no_findings():
    p = policy(
        Rule(name="no", when=When(country=("RU",)), exclude=(A,)),
        Rule(name="small", when=When(amount=(Range("EUR", max="30.00"),)), use=(B, A)),
        Rule(name="rest", when=EUROS, split={A: "33.3333", B: "66.6667"}),
        Rule(name="like", prefer=(A,)),
    )
    assert lint(p, known={A, B}) == []


def test_an_unknown_account_is_found_with_a_payment_that_would_go_there():
    [finding] = lint(policy(Rule(name="r", when=When(brand=("amex",)), use=("nobody",))))
    assert (finding.place, finding.problem) == ("rules[0].use", "there is no account 'nobody'")
    assert finding.payment.brand == "amex"
    assert found(policy(), known={A}) == [("accounts.bank", "there is no account 'bank'")]
    assert found(policy(volumes=(Volume(account="x", currency="EUR"),))) == [
        ("volumes[0].account", "there is no account 'x'")
    ]


@pytest.mark.parametrize(("a", "b", "total"), [("50", "49.9999", "99.9999"), ("60", "60", "120")])
def test_shares_add_up_to_a_hundred_exactly(a, b, total):
    [finding] = lint(policy(Rule(name="r", when=EUROS, split={A: a, B: b})))
    assert (finding.place, finding.problem) == ("rules[0].split", f"the shares add up to {total}, not to 100")
    assert finding.payment.currency == "EUR"


def test_thirds_to_four_places_add_up():
    assert lint(policy(Rule(name="r", split={A: "33.3333", B: "33.3333", C: "33.3334"}), accounts=(A, B, C))) == []


def test_a_rule_behind_one_that_takes_all_its_payments_can_never_match():
    p = policy(
        Rule(name="first", when=EUROS, use=(A,)),
        Rule(name="late", when=When(currency=("EUR",), brand=("visa",)), use=(B,)),
    )
    [finding] = lint(p)
    assert finding.place == "rules[1]"
    assert finding.problem == "rule 'late' can never match: 'first' (rules[0]) comes before it"
    assert (finding.payment.currency, finding.payment.brand) == ("EUR", "visa")


def test_a_rule_can_be_shadowed_by_several_that_together_take_all_its_payments():
    low, high = When(amount=(Range("EUR", max="10.00"),)), When(amount=(Range("EUR", min="10.01"),))
    p = policy(
        Rule(name="low", when=low, use=(A,)),
        Rule(name="high", when=high, use=(B,)),
        Rule(name="late", when=EUROS, use=(B,)),
    )
    assert [f.place for f in lint(p)] == ["rules[2]"]
    gap = When(amount=(Range("EUR", min="10.02"),))
    p = policy(
        Rule(name="low", when=low, use=(A,)),
        Rule(name="high", when=gap, use=(B,)),
        Rule(name="late", when=EUROS, use=(B,)),
    )
    assert lint(p) == []


def test_a_condition_that_contradicts_itself_can_never_match():
    p = policy(Rule(name="r", when=When(currency=("USD",), amount=(Range("EUR", max="1.00"),)), use=(A,)))
    assert found(p) == [("rules[0]", "rule 'r' can never match: no payment in scope meets its condition")]
    p = policy(
        Rule(name="in", when=When(country=("DE",)), include="s"),
        sets={"s": (Rule(name="r", when=When(country=("FR",)), use=(A,)),)},
    )
    assert [f.place for f in lint(p)] == ["sets.s[0]"]


def test_sets_that_include_each_other_are_found():
    p = policy(
        Rule(name="start", when=EUROS, include="x"),
        sets={"x": (Rule(name="a", include="y"),), "y": (Rule(name="b", when=When(brand=("visa",)), include="x"),)},
    )
    [finding] = lint(p)
    assert (finding.place, finding.problem) == ("sets.y[0].include", "the sets include each other: x -> y -> x")
    assert finding.payment.brand == "visa"
    assert found(policy(Rule(name="r", include="z"))) == [("rules[0].include", "there is no set 'z'")]
    assert found(policy(sets={"z": ()})) == [("sets.z", "no rule includes this set")]


def test_a_payment_without_a_route_is_shown():
    p = policy(
        Rule(name="jp", when=When(country=("JP",)), use=(A,)), terms={A: Terms(takes=(When(currency=("EUR", "USD")),))}
    )
    [finding] = lint(p)
    assert finding.place == "rules[0]"
    assert finding.payment.country == "JP"
    assert finding.payment.currency not in {"EUR", "USD"}
    assert "adyen: its terms do not take such a payment" in finding.problem


def test_what_is_out_of_scope_needs_no_route():
    narrow = {A: Terms(takes=(EUROS,)), B: Terms(takes=(EUROS,))}
    assert [f.payment.currency != "EUR" for f in lint(policy(terms=narrow))] == [True]
    assert lint(policy(terms=narrow, scope=(EUROS,))) == []


def test_excluding_everybody_leaves_a_payment_without_a_route():
    p = policy(
        Rule(name="a", when=When(country=("RU",)), exclude=(A,)), Rule(name="b", when=When(iin=("4111",)), exclude=(B,))
    )
    [finding] = lint(p)
    assert (finding.payment.country, finding.payment.iin[:4]) == ("RU", "4111")


@pytest.mark.parametrize(
    ("when", "place", "problem"),
    [
        (When(country=("UK",)), "rules[0].when.country[0]", "'UK' is no country"),
        (When(currency=("EUR", "XXX")), "rules[0].when.currency[1]", "'XXX' is no currency"),
        (
            When(amount=(Range("EUR", min="2.00", max="1.00"),)),
            "rules[0].when.amount[0]",
            "no amount is at least 2.00 and at most 1.00",
        ),
        (
            When(amount=(Range("JPY", min="2.00"),)),
            "rules[0].when.amount[0]",
            "JPY takes 0 decimals, like '1299'; got '2.00'",
        ),
        (When(iin=Not(("4x",))), "rules[0].when.iin[0]", "'4x' is no iin"),
    ],
)
def test_values_that_no_payment_has_are_found(when, place, problem):
    assert (place, problem) in found(policy(Rule(name="r", when=when, use=(A,))))


def test_a_rule_says_one_thing():
    assert found(policy(Rule(name="r"))) == [
        ("rules[0]", "a rule says one of use, split, prefer, exclude, include; this one says none")
    ]
    [(place, problem)] = found(policy(Rule(name="r", use=(A,), prefer=(B,))))
    assert problem.endswith("this one says use and prefer")


def test_too_many_cases_are_refused_rather_than_left_unchecked():
    rules = tuple(
        Rule(name=f"r{i}", when=When(country=(c,), brand=(b,)), prefer=(A,))
        for i, (c, b) in enumerate(itertools.product(("DE", "FR", "GB", "US"), ("visa", "mastercard", "amex")))
    )
    [(place, problem)] = found(policy(*rules), cases=10)
    assert problem.startswith("the conditions are too entangled to be checked")


# A small world, tried payment by payment: what the check says of it must be so.
COUNTRIES, BRANDS, CURRENCIES = ("DE", "FR", ""), ("visa", ""), ("EUR", "USD", "GBP")
MINORS, IINS = (1, 999, 1000, 1001), ("", "420000", "412222", "411111")
WORLD = [
    Facts(currency=c, minor=m, at=0, country=co, brand=b, iin=i)
    for c, m, co, b, i in itertools.product(CURRENCIES, MINORS, COUNTRIES, BRANDS, IINS)
]


def some(values):
    sets = st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True).map(tuple)
    return st.none() | sets | sets.map(Not)


ranges = st.sampled_from(
    [
        Range("EUR", min="10.00", max="10.00"),
        Range("EUR", max="10.00"),
        Range("EUR", min="10.00"),
        Range("EUR", min="9.99", max="10.00"),
        Range("USD", min="10.01"),
    ]
)
whens = st.builds(
    When,
    country=some(COUNTRIES[:2]), brand=some(BRANDS[:1]), currency=some(CURRENCIES[:2]),
    iin=some(("4", "41", "411111")), amount=st.none() | st.lists(ranges, min_size=1, max_size=2).map(tuple),
)  # fmt: skip
actions = st.sampled_from(
    [
        {"use": (A,)},
        {"use": (B, A)},
        {"exclude": (A,)},
        {"exclude": (B,)},
        {"split": {A: "50", B: "50"}},
        {"prefer": (A,)},
    ]
)


@st.composite
def policies(draw):
    rules = [Rule(name=f"r{i}", when=draw(whens), **draw(actions)) for i in range(draw(st.integers(0, 4)))]
    terms = {n: Terms(takes=tuple(draw(st.lists(whens, max_size=2)))) for n in (A, B)}
    return policy(*rules, terms=terms, scope=tuple(draw(st.lists(whens, max_size=1))))


def by_hand(p, facts):
    """What a person would do with the document and one payment: the rules met, and who may take it; None: out of scope."""
    if p.scope and all(unmet(c, facts) for c in p.scope):
        return None
    able = [n for n, t in p.accounts.items() if not t.takes or any(not unmet(c, facts) for c in t.takes)]
    met, banned = [], set()
    for rule in p.rules:
        if not unmet(rule.when, facts):
            met.append(rule.name)
            if rule.exclude:
                banned |= set(rule.exclude)
            elif rule.use or rule.split:
                return met, [n for n in rule.use or rule.split if n in able and n not in banned]
    return met, [n for n in able if n not in banned]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies())
def test_the_check_agrees_with_trying_every_payment(p):
    tried = [(facts, result) for facts in WORLD if (result := by_hand(p, facts)) is not None]
    findings = lint(p)
    if not tried:
        assert [f.place for f in findings] == ["scope"]
        return
    reached = {name for _, (met, _) in tried for name in met}
    never = {f"rules[{i}]" for i, rule in enumerate(p.rules) if rule.name not in reached}
    assert {f.place for f in findings if "can never match" in f.problem} == never
    stranded = any(not accounts for _, (_, accounts) in tried)
    shown = [f for f in findings if f.problem.startswith("no account may take this payment")]
    assert bool(shown) is stranded
    for finding in shown:
        assert by_hand(p, finding.payment)[1] == []


@settings(max_examples=60, deadline=None)
@given(policies(), st.sampled_from(WORLD))
def test_a_compiled_policy_says_what_the_document_says(p, facts):
    plan, expected = Compiled(p).plan(facts), by_hand(p, facts)
    assert plan.in_scope is (expected is not None)
    if expected is not None:
        assert (list(plan.rules), list(plan.accounts)) == (expected[0], expected[1])


def test_json_and_toml_say_the_same():
    p = policy(Rule(name="r", when=When(country=Not(("DE",))), use=(A,)), scope=(EUROS,))
    assert from_json(to_json(p)) == p
    toml = """
        name = "p"
        scope = [{ currency = ["EUR"] }]
        [accounts]
        adyen = {}
        bank = {}
        [[rules]]
        name = "r"
        when = { country = { but = ["DE"] } }
        use = ["adyen"]
    """
    assert from_toml(toml) == p


@pytest.mark.parametrize("text", ['{"name":"p","accounts":{"a":{}},"extra":1}', '{"name":"p","accounts":{}}', '{"accounts":{"a":{}}}', '{"name":"p","accounts":{"a":{}},"rules":[{"name":"r","when":{"colour":["red"]}}]}'])  # fmt: skip
def test_what_the_schema_does_not_know_is_refused(text):
    with pytest.raises(Exception, match=r"at `\$|Object"):
        from_json(text)


def test_a_version_is_told_by_its_content():
    assert Compiled(policy()).version == Compiled(policy()).version
    assert Compiled(policy()).version != Compiled(policy(accounts=(A,))).version


def test_a_diff_names_what_changed_and_payments_that_go_elsewhere():
    old = policy(Rule(name="eu", when=When(country=("DE",)), use=(A,)))
    new = policy(
        Rule(name="us", when=When(country=("US",)), use=(B,)), Rule(name="eu", when=When(country=("DE",)), use=(B,))
    )
    assert {c.place for c in changes(old, new)} == {"rules.order", "rules.eu.use", "rules.us"}
    examples = {m.payment.country: (m.before[1], m.after[1]) for m in moved(Compiled(old), Compiled(new))}
    assert examples == {"DE": ((A,), (B,)), "US": ((A, B), (B,))}
    assert moved(Compiled(old), Compiled(old)) == []


def test_a_third_party_chooses_among_what_the_merchant_leaves():
    mine = Compiled(policy(Rule(name="mine", when=EUROS, exclude=(C,)), accounts=(A, B, C)))
    theirs = Compiled(policy(Rule(name="theirs", use=(C, B)), accounts=(A, B, C)), outer=mine)
    euros, dollars = Facts(currency="EUR", minor=1, at=0), Facts(currency="USD", minor=1, at=0)
    assert theirs.plan(euros).accounts == (B,)
    assert theirs.plan(dollars).accounts == (C, B)
    assert theirs.plan(euros).rules == ("mine", "theirs")
    assert theirs.version == f"{mine.version} {Compiled(theirs.policy).version}"


def test_a_third_party_brings_no_account_that_the_merchants_policy_does_not_name():
    mine = Compiled(policy(accounts=(A, B)))
    theirs = Compiled(policy(accounts=(B, C)), outer=mine)
    plan = theirs.plan(Facts(currency="EUR", minor=1, at=0))
    assert plan.accounts == (B,)
    assert plan.excluded == {C: "the merchant's policy does not name it"}


def test_a_third_partys_policy_does_not_lift_the_merchants_contract_limits():
    limit = Volume(account=A, currency="EUR", most="10.00")
    mine = Compiled(policy(accounts=(A, B), volumes=(limit,)))
    assert Compiled(policy(accounts=(A,)), outer=mine).bounds == mine.bounds != {}


def test_payments_that_two_policies_leave_without_an_account_are_found():
    mine = Compiled(policy(Rule(name="mine", when=EUROS, use=(A,)), accounts=(A, B)))
    theirs = Compiled(policy(accounts=(B,)), outer=mine)
    found = list(stranded(theirs))
    assert [f.payment.currency for f in found if f.payment] == ["EUR"]
    assert list(stranded(Compiled(policy(accounts=(A, B)), outer=mine))) == []


def test_the_policy_of_the_documentation_is_without_faults():
    text = (Path(__file__).parent.parent.parent / "docs/routing.md").read_text()
    [shown] = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[[rules]]" in block]
    assert lint(from_toml(shown)) == []
