"""Deliberate bugs: every patch still applies, and a few show that the machinery notices."""

import ast
import subprocess
import sys

import pytest

from tests.mutants.mutant import ROOT, SIMULATION, Mutant
from tests.mutants.page import rows
from tests.mutants.table import MUTANTS

SLICE = ["approved-can-be-declined", "cascade-on-unknown", "journal-does-not-balance", "5xx-means-rejected"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_bug_can_still_be_made(mutant: Mutant):
    text = mutant.patched()
    assert text != (ROOT / mutant.path).read_text()
    if mutant.path.endswith(".py"):
        ast.parse(text)


@pytest.mark.parametrize("tests", sorted({tests for m in MUTANTS for tests in m.tests} - {SIMULATION}))
def test_the_tests_that_should_notice_are_there(tests: str):
    path, _, name = tests.partition("::")
    assert f"def {name or 'test_'}" in (ROOT / path).read_text()


def test_names_are_all_different_and_the_page_tells_of_each():
    names = [m.name for m in MUTANTS]
    assert len(set(names)) == len(names) >= 36
    told = rows((ROOT / "docs" / "mutants.md").read_text())
    assert list(told) == names, "make mutants MUTANTS='--write NAME' writes a row"


@pytest.mark.timeout(900)  # Half a minute; a busy machine may need long.
def test_some_bugs_are_noticed_and_the_live_tree_is_left_alone():
    before = [(ROOT / m.path).read_bytes() for m in MUTANTS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--trust", *SLICE], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SLICE)} of {len(SLICE)} killed" in done.stdout
    assert [(ROOT / m.path).read_bytes() for m in MUTANTS] == before
