"""The test cards: a name at each PSP that is no other's (tests/sandbox/test_world.py looks at their numbers)."""

from collections import Counter

import pytest

from scrooge.sandbox.cards import TEST_CARDS


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
def test_no_two_test_cards_are_called_the_same(psp: str):
    names = Counter(card.token for card in TEST_CARDS if card.connector == psp)
    assert [one for one, times in names.items() if times > 1] == []
    assert len(names) > 30
