"""The words in which policies speak are those of payments, and their values those of the world."""

from msgspec import structs

from scrooge.routing.facts import UNKNOWN, VOCABULARY, Facts, Kind

AMOUNT = {"minor", "at", "instrument", "needs"}


def test_a_policy_may_speak_of_every_fact_but_the_moment_and_the_instrument():
    assert set(structs.asdict(Facts(currency="EUR", minor=1, at=0))) - AMOUNT == set(VOCABULARY) - {"amount"}


def test_what_a_payment_is_by_itself_is_in_the_vocabulary():
    known = structs.asdict(Facts(currency="EUR", minor=1, at=0))
    for word in VOCABULARY.values():
        if word.kind is Kind.ONE_OF and word.name not in {"merchant", "caller"}:
            assert word.takes(known[word.name]), word.name


def test_what_the_world_does_not_have_is_not_in_the_vocabulary():
    for name, value in (
        ("country", "UK"),
        ("currency", "XAU"),
        ("brand", "vise"),
        ("iin", "4111x"),
        ("funding", "Debit"),
    ):
        assert not VOCABULARY[name].takes(value), (name, value)
    for name, value in (
        ("country", "GB"),
        ("currency", "JPY"),
        ("brand", "visa"),
        ("iin", "41111111"),
        ("country", UNKNOWN),
    ):
        assert VOCABULARY[name].takes(value), (name, value)
