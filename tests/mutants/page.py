"""docs/mutants.md: what each bug was, and which test noticed."""

import re

from tests.mutants.mutant import Mutant

HEAD = """# Mutants

A test suite that cannot fail proves nothing. `make mutants` puts each of these bugs into a copy of the tree, one at a
time, runs the tests that should notice, and says which one did. With `MUTANTS=--write` it writes this page; seconds
are those of a shared machine with two cores.

`make mutants MUTANTS="no-live-index --trust"` runs some; a name that is not killed ends it with 1. The suite itself
checks that every patch still applies, and runs a few. A patch that no longer applies is mended in `tests/mutants/`.
"""
COLUMNS = ["| name | bug | where | killed by | seconds |", "| --- | --- | --- | --- | ---: |"]
ROW = re.compile(r"^\| ([a-z0-9-]+) \|.*\|$", re.MULTILINE)
SURVIVED = "**survived**"


def row(m: Mutant, killer: str | None, seconds: float) -> str:
    where = m.path.removeprefix("src/scrooge/")
    shown = f"`{killer.removeprefix('tests/')}`".replace("|", "\\|") if killer else SURVIVED
    return f"| {m.name} | {m.bug} | `{where}` | {shown} | {seconds:.0f} |"


def rows(page: str) -> dict[str, str]:
    """The rows of a page that was written before, by the mutants' names."""
    return {found[1]: found[0] for found in ROW.finditer(page) if found[1] != "name"}


def written(table: list[str]) -> str:
    lost = [line for line in table if SURVIVED in line]
    lines = [HEAD, f"{len(table) - len(lost)} of {len(table)} killed.", "", *COLUMNS, *table, "", "## Survivors", ""]
    lines += [f"- {' | '.join(line.split(' | ')[:2]).removeprefix('| ').replace(' | ', ': ')}" for line in lost]
    return "\n".join([*lines, *([] if lost else ["None."])]) + "\n"
