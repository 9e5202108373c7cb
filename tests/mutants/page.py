"""docs/mutants.md: what each bug was, and which test noticed."""

from tests.mutants.mutant import Mutant

HEAD = """# Mutants

A test suite that cannot fail proves nothing. `make mutants` puts each of these bugs into a copy of the tree, one at a
time, runs the tests that should notice, and says which one did. This page is what it wrote.

`make mutants MUTANTS="no-live-index --trust"` runs some; a name that is not killed ends it with 1. The suite itself
checks that every patch still applies, and runs a few.
"""


def written(verdicts: list[tuple[Mutant, str | None, float]]) -> str:
    survivors = [(m, s) for m, killer, s in verdicts if killer is None]
    lines = [HEAD, f"{len(verdicts) - len(survivors)} of {len(verdicts)} killed.", ""]
    lines += ["| name | bug | where | killed by | seconds |", "| --- | --- | --- | --- | ---: |"]
    for m, killer, seconds in verdicts:
        where = m.path.removeprefix("src/scrooge/")
        lines.append(f"| {m.name} | {m.bug} | `{where}` | {shown(killer)} | {seconds:.0f} |")
    lines += ["", "## Survivors", ""]
    lines += [f"- {m.name}: {m.bug}" for m, _ in survivors] or ["None."]
    return "\n".join(lines) + "\n"


def shown(killer: str | None) -> str:
    if killer is None:
        return "**survived**"
    return f"`{killer.removeprefix('tests/')}`".replace("|", "\\|")
