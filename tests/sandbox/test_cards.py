"""The test cards: a number, and a name at each PSP, that is no other's."""

from collections import Counter

import pytest

from scrooge.sandbox.cards import TEST_CARDS, luhn


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
@pytest.mark.parametrize("name", ["number", "token"])
def test_no_two_test_cards_are_called_the_same(psp: str, name: str):
    names = Counter(getattr(card, name) for card in TEST_CARDS if card.connector == psp)
    assert [one for one, times in names.items() if times > 1] == []
    assert len(names) > 30


def test_every_number_has_a_right_check_digit():
    assert [card.number for card in TEST_CARDS if not luhn(card.number)] == []
