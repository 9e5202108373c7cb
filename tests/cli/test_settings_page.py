"""docs/settings.md has every setting there is, with its default, and none that there is not."""

import re
from pathlib import Path
from typing import Any

import pytest

from scrooge import settings as core
from scrooge.vault import settings as vault

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(SCROOGE_[A-Z_]+)` \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROWS = [(name, (default, takes, what)) for name, default, takes, what in ROW.findall(PAGE.read_text())]
# Each program's settings: their values when nothing is set, the prefix of their names, and what they take.
KINDS: list[tuple[Any, str, Any]] = [
    (core.Settings(), "SCROOGE_", core),
    (vault.VaultSettings(), vault.PREFIX, vault),
]
ALL = [
    (known, f"{prefix}{name.upper()}", name, kind) for known, prefix, kind in KINDS for name in known.__struct_fields__
]


def test_the_page_lists_the_settings_and_nothing_else():
    assert [name for name, _ in ROWS] == [variable for _, variable, _, _ in ALL]


@pytest.mark.parametrize(("settings", "variable", "name", "kind"), ALL, ids=[variable for _, variable, _, _ in ALL])
def test_the_page_says_the_default_and_what_is_taken(settings, variable, name, kind):
    default, takes, what = dict(ROWS)[variable]
    known = getattr(settings, name)
    if known is None:
        assert default == "none" or name == "public_url"
    else:
        assert default == f"`{int(known) if isinstance(known, bool) else known}`"
    for choice in kind.CHOICES.get(name, ()):
        assert f"`{choice}`" in takes
    if name in kind.LIMITS:
        assert takes == f"{kind.LIMITS[name][0]} to {kind.LIMITS[name][1]}"
    assert what.endswith(".")
