"""What the risk rules see, what they say, and that a rule that watches decides nothing."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scrooge.risk.check import Suspect, asks, check, is_listed
from scrooge.risk.recent import MINUTE, Recent
from scrooge.risk.rules import STRICTNESS, Document, Listed, RuleRefused, read, shipped

NOW = 1_795_305_600_000_000
WHO = Suspect(merchant="mer", at=NOW, card="c1", customer="cus", iin="411111", ip="192.0.2.7", country="DE")


def document(*rules: str) -> Document:
    return read('version = "1"\n' + "\n".join(f"[[rule]]\n{rule}" for rule in rules))


def velocity(counts: str, most: int, of: str = "ip", mode: str = "enforce", does: str = "block") -> str:
    return (
        f'name = "{counts}-{of}"\ntype = "velocity"\nof = "{of}"\ncounts = "{counts}"\nmost = {most}\nminutes = 10\n'
        f'does = "{does}"\nmode = "{mode}"'
    )


def listed(name: str, of: str, value: str, does: str, more: str = "") -> str:
    return (
        f'name = "{name}"\ntype = "list"\nof = "{of}"\nvalues = ["{value}"]\ndoes = "{does}"\nmode = "enforce"\n{more}'
    )


def said(rules: Document, recent: Recent, suspect: Suspect) -> str:
    return check(rules, suspect, recent.tallies(asks(rules, suspect), suspect)).does


def test_velocity_counts_attempts_in_its_minutes_this_one_among_them():
    rules, recent = document(velocity("attempts", 3)), Recent()
    for _ in range(3):
        assert said(rules, recent, WHO) == "allow"
        recent.add(WHO)
    assert said(rules, recent, WHO) == "block"
    assert said(rules, recent, structs.replace(WHO, ip="192.0.2.8")) == "allow"
    assert said(rules, recent, structs.replace(WHO, merchant="other")) == "allow", "merchants do not see each other"
    assert said(rules, recent, structs.replace(WHO, at=NOW + 10 * MINUTE)) == "allow"


def test_velocity_counts_different_cards_and_declines():
    rules, recent = document(velocity("cards", 2), velocity("declines", 2, "customer", does="challenge")), Recent()
    for card in ("c1", "c1", "c2"):
        recent.add(structs.replace(WHO, card=card))
    assert said(rules, recent, structs.replace(WHO, card="c2")) == "allow"
    assert said(rules, recent, structs.replace(WHO, card="c3")) == "block"
    recent.declined(WHO)
    assert said(rules, recent, WHO) == "allow"
    recent.declined(WHO)
    assert said(rules, recent, WHO) == "challenge"


def test_card_testing_is_many_cards_of_which_most_are_declined():
    testing = 'name = "t"\ntype = "card_testing"\nof = "ip"\ncards = 5\ndeclined_percent = 80\nminutes = 30\ndoes = "block"\nmode = "enforce"'
    rules = document(testing)
    honest, thief = Recent(), Recent()
    for n in range(10):  # ten families behind one address, and ten stolen numbers
        one = structs.replace(WHO, card=f"c{n}", at=NOW + n * MINUTE)
        honest.add(one)
        thief.add(one)
        if n != 4:
            thief.declined(one)
        if n == 4:
            honest.declined(one)
    last = structs.replace(WHO, card="new", at=NOW + 10 * MINUTE)
    assert said(rules, honest, last) == "allow"
    assert said(rules, thief, last) == "block"


def test_lists_a_block_is_stronger_than_an_allowance_and_that_than_anything_counted():
    recent = Recent()
    for _ in range(9):
        recent.add(WHO)
    fast = velocity("attempts", 3)
    friend, foe = listed("friend", "customer", "CUS", "allow"), listed("foe", "iin", "4111", "block")
    assert said(document(fast), recent, WHO) == "block"
    assert said(document(fast, friend), recent, WHO) == "allow"
    assert said(document(fast, friend, foe), recent, WHO) == "block"
    assert said(document(foe), recent, structs.replace(WHO, iin="510510")) == "allow"
    assert said(document(listed("x", "ip", "192.0.2.7", "block", f"until = {NOW}")), Recent(), WHO) == "allow", "over"


def test_what_watches_is_recorded_and_decides_nothing():
    rules, recent = document(velocity("attempts", 1, mode="observe")), Recent()
    recent.add(WHO)
    verdict = check(rules, WHO, recent.tallies(asks(rules, WHO), WHO))
    assert (verdict.does, verdict.would) == ("allow", "block")
    assert [hit.because for hit in verdict.hits] == ["2 attempts of this ip in 10 minutes; 1 may be"]
    assert verdict.version == "1"


def test_every_rule_that_ships_only_watches():
    assert shipped().rule
    assert all(rule.mode == "observe" for rule in shipped().rule)


STEP = st.tuples(
    st.sampled_from(["c1", "c2", "c3", ""]), st.sampled_from(["a", "b", ""]), st.integers(0, 3), st.booleans()
)


@given(st.lists(STEP, max_size=40))
def test_shipped_rules_never_stop_a_payment_and_always_say_why(steps):
    rules, recent, at = shipped(), Recent(), NOW
    for card, ip, minutes, declined in steps:
        at += minutes * MINUTE
        one = structs.replace(WHO, card=card, ip=ip, at=at)
        verdict = check(rules, one, recent.tallies(asks(rules, one), one))
        assert verdict.does == "allow"
        assert verdict.would in STRICTNESS
        assert all(hit.because for hit in verdict.hits)
        recent.add(one)
        if declined:
            recent.declined(one)


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["c1", "c2", "c3"])), max_size=60), st.integers(1, 100))
def test_what_is_kept_by_the_minute_counts_like_a_list_of_everything(steps, minutes):
    rules = read(
        'version = "1"\n[[rule]]\nname = "v"\ntype = "velocity"\nof = "ip"\ncounts = "cards"\nmost = 1\n'
        f'minutes = {minutes}\ndoes = "block"'
    )
    recent, at, everything = Recent(), NOW, []
    for ahead, card in steps:
        at += ahead * MINUTE
        one = structs.replace(WHO, card=card, at=at)
        (tally,) = recent.tallies(asks(rules, one), one).values()
        within = [c for t, c in everything if t // MINUTE > at // MINUTE - minutes]
        assert tally.attempts == len(within)
        assert tally.others == len({*within} - {card})
        recent.add(one)
        everything.append((at, card))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (listed("a", "ip", "", "block"), "can never match"),
        (listed("a", "iin", "41x", "block"), "one to eight digits"),
        (velocity("cards", 3, "card"), "never more than one card"),
        (velocity("attempts", 0), "most"),
        (velocity("attempts", 3, "shoe"), "of"),
        ('name = "a"\ntype = "magic"\nof = "ip"', "magic"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_place(rule: str, why: str):
    with pytest.raises(RuleRefused, match=why):
        document(rule)


def test_two_rules_do_not_share_a_name():
    with pytest.raises(RuleRefused, match=r"rule\[1\]"):
        document(velocity("attempts", 3), velocity("attempts", 4))


@given(
    st.lists(st.one_of(st.ip_addresses(), st.tuples(st.ip_addresses(), st.integers(0, 128))), min_size=1, max_size=8),
    st.ip_addresses(),
)
def test_an_address_is_on_a_list_if_it_is_in_one_of_its_networks(values, asked):
    """Looked up at once, however long the list is, with the answer of looking at each."""
    texts = [
        str(ip_network((v[0], min(v[1], v[0].max_prefixlen)), strict=False)) if isinstance(v, tuple) else str(v)
        for v in values
    ]
    rule = Listed(name="l", of="ip", values=frozenset(texts), does="block")
    for address in (asked, *(v[0] if isinstance(v, tuple) else v for v in values)):
        assert is_listed(rule, str(address)) is any(address in ip_network(text) for text in texts)
