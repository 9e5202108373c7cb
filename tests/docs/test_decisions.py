"""Decisions (docs/adr) are numbered: each its own number, and its heading says the same."""

import re
from pathlib import Path

DECISIONS = sorted((Path(__file__).parents[2] / "docs" / "adr").glob("*.md"))


def test_each_decision_has_a_number_of_its_own_and_says_it():
    numbers = [page.name[:4] for page in DECISIONS]
    assert len(set(numbers)) == len(numbers) > 0
    for page in DECISIONS:
        assert re.match(rf"# {int(page.name[:4])}\. ", page.read_text()), page.name
