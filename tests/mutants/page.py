"""docs/mutants.md: what each bug was, and which test noticed."""

import re
from collections.abc import Sequence

from tests.mutants.mutant import Mutant

HEAD = """# Mutants

A test suite that cannot fail proves nothing. `make mutants` puts each of these bugs into a copy of the tree, one at a
time, runs the tests that should notice, and says which one did. With `MUTANTS=--write` it writes this page; seconds
are those of a shared machine with two cores.

`make mutants MUTANTS="no-live-index --trust"` runs some; a name that is not killed ends it with 1. The suite itself
checks that every patch still applies, and runs a few. A patch that no longer applies is mended in `tests/mutants/`.
"""
COLUMNS = ["| name | bug | where | killed by | seconds |", "| --- | --- | --- | --- | ---: |"]
ROW = re.compile(r"^\| ([a-z0-9][a-z0-9-]+) \|.*\|$", re.MULTILINE)
SURVIVED, NOT_RUN = "**survived**", "not run yet"


def row(m: Mutant, killer: str | None, seconds: float) -> str:
    shown = f"`{killer.removeprefix('tests/')}`".replace("|", "\\|") if killer else SURVIVED
    return line(m, shown, f"{seconds:.0f}")


def line(m: Mutant, shown: str, seconds: str) -> str:
    return f"| {m.name} | {m.bug} | `{m.path.removeprefix('src/scrooge/')}` | {shown} | {seconds} |"


def rows(page: str) -> dict[str, str]:
    """The rows of a page that was written before, by the mutants' names."""
    return {found[1]: found[0] for found in ROW.finditer(page) if found[1] != "name"}


def written(known: dict[str, str], mutants: Sequence[Mutant]) -> str:
    """`known`: the row of each mutant that was run, now or before."""
    ran = [m for m in mutants if m.name in known and NOT_RUN not in known[m.name]]
    lost = [m for m in ran if SURVIVED in known[m.name]]
    left = len(mutants) - len(ran)
    counted = f"{len(ran) - len(lost)} of {len(ran)} killed{f'; {left} not run yet' if left else ''}."
    table = [known.get(m.name) or line(m, NOT_RUN, "") for m in mutants]
    survivors = [f"- {m.name}: {m.bug}" for m in lost] or ["None."]
    return "\n".join([HEAD, counted, "", *COLUMNS, *table, "", "## Survivors", "", *survivors]) + "\n"
