"""Callers who know no rule break none of the schemes': a small storm. Ten million attempts: docs/routing.md."""

import pytest
from tests.routing.retries.storm import Open, Storm

from scrooge.routing.trial.enforced import Enforced


@pytest.mark.parametrize("seed", [1, 2])
def test_no_rule_of_a_scheme_is_broken_however_carelessly_cards_are_asked_about(seed: int):
    storm = Storm(Enforced, seed)
    storm.blow(5_000)
    assert not storm.violations
    assert storm.told["refused"] > 5_000


def test_the_umpire_objects_to_each_rule_where_nothing_enforces_them():
    storm = Storm(Open, 1)
    storm.blow(10_000)
    assert set(storm.violations) >= {
        "visa: never again", "visa: 20 reattempts in 30 days", "mastercard: advice never again",
        "mastercard: 10 declines in 24 hours", "mastercard: sooner than the advice says",
    }  # fmt: skip
