"""docs/pci.md names tests and pages that there are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pci.md").read_text()
ROW = re.compile(r"^\| ([0-9][^|]*) \| ([^|]+) \| ([^|]*) \| `([^`|]+)` \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE)
WHO = {"code", "setting", "operator"}


@pytest.mark.parametrize(("requirement", "who", "how", "shown"), ROWS, ids=[row[0][:24] for row in ROWS])
def test_what_shows_a_requirement_is_there(requirement, who, how, shown):
    path, _, name = shown.partition("::")
    assert (ROOT / path).is_file()
    if name:
        functions = {n.name for n in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(n, "name")}
        assert name in functions, f"{shown} is not there any more"
    assert set(who.split(", ")) <= WHO
    assert how or who == "operator"


def test_every_row_of_the_map_is_read_and_every_file_that_is_named_is_there():
    table = PAGE.split("## The map")[1].split("\n## ")[0]
    assert len(ROWS) == len([line for line in table.splitlines() if line.startswith("| ")]) - 2
    for path in re.findall(r"`((?:tests|docs|src)/[a-z_/]+\.(?:py|md))", PAGE):
        assert (ROOT / path).is_file(), path
