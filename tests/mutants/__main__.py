"""Runs the tests against each deliberate bug, in a copy of the tree, and says which test noticed.

`python -m tests.mutants` runs all; names pick some. `--write` puts the table into docs/mutants.md. Survivors are
listed, and end it with 1.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from msgspec import Struct

from tests.mutants.mutant import ROOT, SIMULATION, Mutant
from tests.mutants.page import row, rows, written
from tests.mutants.table import MUTANTS

KILLER = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
TIMEOUT = 300
FAILED, NO_VERDICT = 1, 124  # exit codes; the second is timeout(1)'s
SAMPLE = ("-m", "tests.simulation", "--sample", "23", "--wild", "400", "--jobs", "1", "--first")


class Verdict(Struct, frozen=True):
    """`killer` is the test that failed, None for a survivor; `said` is what the last test run printed."""

    mutant: Mutant
    killer: str | None
    seconds: float
    said: str = ""


def copy_of_tree(folder: Path) -> Path:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def ran(tree: Path, *tests: str, timeout: float = TIMEOUT) -> tuple[int, str, str]:
    """(exit code, the test that failed, what was printed). Only 1 means that a test failed; 0 that all passed."""
    command = (
        SAMPLE
        if tests == (SIMULATION,)
        else ("-m", "pytest", "-x", "-p", "no:cacheprovider", f"--timeout={TIMEOUT - 20}", *tests)
    )
    env = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *command], cwd=tree, env=env, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return NO_VERDICT, " ".join(tests), f"no verdict in {timeout} s"
    said = done.stdout + done.stderr
    if tests == (SIMULATION,):
        found = re.search(r"CELL=\S+ \S+", said)
        return done.returncode, f"simulation {found[0] if found else ''}".rstrip(" :"), said
    found = KILLER.search(said)
    return done.returncode, found[1] if found else " ".join(tests), said


def tried(tree: Path, mutant: Mutant) -> Verdict:
    """The verdict on one bug; the tree is as before afterwards."""
    target, began = tree / mutant.path, time.monotonic()
    sound = target.read_text()
    target.write_text(mutant.patched(tree))
    try:
        said = ""
        for tests in mutant.tests:
            code, killer, said = ran(tree, tests)
            if code == FAILED:
                return Verdict(mutant, killer, time.monotonic() - began)
            if code != 0:  # No test was run to its end, so nothing is said about the bug.
                return Verdict(mutant, None, time.monotonic() - began, f"no verdict, exit {code}: {said[-2000:]}")
        return Verdict(mutant, None, time.monotonic() - began, said[-2000:])
    finally:
        target.write_text(sound)


def unsound(tree: Path, mutants: list[Mutant]) -> list[str]:
    """Tests that do not pass without any bug: their word counts for nothing."""
    files = [tests for m in mutants for tests in m.tests if "::" not in tests]
    single = [tests for m in mutants for tests in m.tests if tests.partition("::")[0] not in files]
    together = sorted({*files, *single} - {SIMULATION})
    runs = ([SIMULATION] if SIMULATION in files else [], together)
    found = [ran(tree, *tests, timeout=10 * TIMEOUT) for tests in runs if tests]
    return [f"{killer}\n{said[-2000:]}" for code, killer, said in found if code != 0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants to run; all, when none is named")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trust", action="store_true", help="do not run the tests without a bug first")
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md; rows of mutants not run stay")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if not given.names or m.name in given.names]
    if {m.name for m in chosen} < set(given.names):
        parser.error("no such mutant: " + ", ".join(set(given.names) - {m.name for m in chosen}))
    with tempfile.TemporaryDirectory(prefix="scrooge-mutants-") as folder:
        Path(folder).chmod(0o755)
        trees: SimpleQueue[Path] = SimpleQueue()
        for n in range(given.jobs):
            trees.put(copy_of_tree(Path(folder) / str(n)))
        if not given.trust:
            tree = trees.get()
            if wrong := unsound(tree, chosen):
                print("fails without any bug:", *wrong, sep="\n")
                return 2
            trees.put(tree)

        def one(mutant: Mutant) -> Verdict:
            tree = trees.get()
            try:
                verdict = tried(tree, mutant)
            finally:
                trees.put(tree)
            word = f"killed by {verdict.killer}" if verdict.killer else "SURVIVED"
            print(f"{mutant.name:<36}{verdict.seconds:6.1f} s  {word}", file=sys.stderr, flush=True)
            return verdict

        with ThreadPoolExecutor(given.jobs) as pool:
            verdicts = list(pool.map(one, chosen))
    survivors = [v for v in verdicts if v.killer is None]
    if given.write:
        write(verdicts)
    killed = len(verdicts) - len(survivors)
    if given.json:
        each = [{"name": v.mutant.name, "killer": v.killer, "seconds": round(v.seconds, 1)} for v in verdicts]
        names = [v.mutant.name for v in survivors]
        print(json.dumps({"mutants": len(verdicts), "killed": killed, "survivors": names, "each": each}))
    else:
        print(
            f"{killed} of {len(verdicts)} killed",
            *(f"survived: {v.mutant.name}\n{v.said}" for v in survivors),
            sep="\n",
        )
    return 1 if survivors else 0


def write(verdicts: list[Verdict]) -> None:
    page = ROOT / "docs" / "mutants.md"
    known = rows(page.read_text() if page.exists() else "")
    known |= {v.mutant.name: row(v.mutant, v.killer, v.seconds) for v in verdicts}
    page.write_text(written(known, MUTANTS))


if __name__ == "__main__":
    sys.exit(main())
