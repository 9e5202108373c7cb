"""docs/settings.md has every setting there is, with its default, and none that there is not."""

import re
from pathlib import Path

import pytest

from scrooge.settings import CHOICES, LIMITS, Settings, variable

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(SCROOGE_[A-Z_]+)` \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROWS = {name: (default, takes, what) for name, default, takes, what in ROW.findall(PAGE.read_text())}


def test_the_page_lists_the_settings_and_nothing_else():
    assert list(ROWS) == [variable(name) for name in Settings.__struct_fields__]


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_the_page_says_the_default_and_what_is_taken(name):
    default, takes, what = ROWS[variable(name)]
    known = getattr(Settings(), name)
    if known is None:
        assert default == "none" or name == "public_url"
    else:
        assert default == f"`{int(known) if isinstance(known, bool) else known}`"
    for choice in CHOICES.get(name, ()):
        assert f"`{choice}`" in takes
    if name in LIMITS:
        assert takes == f"{LIMITS[name][0]} to {LIMITS[name][1]}"
    assert what.endswith(".")
