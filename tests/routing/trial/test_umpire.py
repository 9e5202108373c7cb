"""The umpire counts what breaks a scheme's rule, at the boundaries by hand (../shared/reference/psp.md 4.1 and 4.2)."""

import pytest

from scrooge.routing.trial.calendar import DAY, HOUR
from scrooge.routing.trial.umpire import Umpire

CARD = (0, 1)


class Story:
    """Attempts of one card, one after the other."""

    def __init__(self, brand: str) -> None:
        self.umpire, self.brand = Umpire(), brand

    def attempt(self, at: int, state: str = "declined", network: str = "05", advice: str = "", minor: int = 100,
                initiator: str = "merchant") -> int:  # fmt: skip
        before = self.umpire.violations.total()
        seen = self.umpire.asked(CARD, self.brand, minor, initiator, at)
        self.umpire.heard(seen, state, network, advice)
        return self.umpire.violations.total() - before


@pytest.mark.parametrize("code", ["04", "07", "41", "43", "46"])
def test_visa_never_again_for_the_same_card_and_amount(code):
    story = Story("visa")
    assert story.attempt(0, network=code) == 0
    assert story.attempt(DAY, minor=200) == 0
    assert story.attempt(29 * DAY) == 1
    assert story.attempt(60 * DAY) == 0


def test_visa_twenty_reattempts_in_thirty_days_and_not_one_more():
    story = Story("visa")
    assert [story.attempt(n * HOUR) for n in range(22)] == [0] * 21 + [1]


def test_visa_counts_attempts_since_the_first_decline_only():
    story = Story("visa")
    assert [story.attempt(n * HOUR, "approved") for n in range(40)] == [0] * 40


def test_mastercard_ten_declines_in_a_day_whatever_the_amount():
    story = Story("mastercard")
    assert [story.attempt(n * HOUR, minor=n) for n in range(12)] == [0] * 10 + [1, 1]
    assert story.attempt(40 * HOUR) == 0


def test_mastercard_thirty_five_declines_in_thirty_days():
    story = Story("mastercard")
    assert [story.attempt(n * 8 * HOUR) for n in range(37)] == [0] * 35 + [1, 1]


@pytest.mark.parametrize("code", ["03", "21"])
def test_mastercard_never_again(code):
    story = Story("mastercard")
    story.attempt(0, advice=code)
    assert story.attempt(29 * DAY) == 1


@pytest.mark.parametrize(("code", "hours"), [("02", 72), ("24", 1), ("25", 24), ("26", 48), ("30", 240)])
def test_mastercard_waits_bind_the_merchant_and_not_the_payer(code, hours):
    for initiator, early in (("merchant", 1), ("customer", 0)):
        story = Story("mastercard")
        story.attempt(0, advice=code)
        assert story.attempt(hours * HOUR - 1, "approved", initiator=initiator) == early
        assert story.attempt(hours * HOUR, "approved", initiator=initiator) == 0


def test_other_brands_have_no_rules_that_nobody_disputes():
    story = Story("amex")
    assert [story.attempt(n, network="43") for n in range(50)] == [0] * 50
