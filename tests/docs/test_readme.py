"""The README's tour, pasted into a shell against a demo of its own: what it shows is what happens."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
START = "## A five-minute tour"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_SECONDS = 300  # for a machine that does much else
DEFAULTS = {
    "api_url": "http://127.0.0.1:8080", "vault_url": "http://127.0.0.1:8081", "sandbox_url": "http://127.0.0.1:8090",
}  # fmt: skip


def tour() -> list[tuple[str, str | None]]:
    """The commands of the tour in order, each with the answer that the README shows, if any."""
    section = README.read_text().split(START)[1].split("\n## ")[0]
    steps: list[tuple[str, str | None]] = []
    for kind, text in BLOCK.findall(section):
        if kind == "sh":
            steps.append((text, None))
        else:
            assert steps, "an answer comes after its commands"
            assert steps[-1][1] is None, "commands have one answer"
            steps[-1] = (steps[-1][0], text)
    return steps


STEPS = tour()


def pattern(shown: str) -> re.Pattern[str]:
    """What the README shows, where `...` stands for anything and how wide a gap is does not matter."""
    parts = (re.escape(part) for part in re.split(r"(\.\.\.|\s+)", shown.strip()))
    loose = {re.escape("..."): ".*?"}
    return re.compile("".join(loose.get(p, r"\s+" if re.fullmatch(r"(\\?\s)+", p) else p) for p in parts), re.DOTALL)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that looks like the project's root, with a demo running in it on free ports."""
    with tempfile.TemporaryDirectory(prefix="scrooge-tour-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)  # The embedded PostgreSQL may run as another user.
        (root / ".venv").symlink_to(Path(sys.executable).parents[1])
        command = (sys.executable, "-m", "scrooge", "demo", "--ports", "auto", "--payments", "10")
        with (root / "demo.log").open("w") as log:
            demo = subprocess.Popen(command, cwd=root, env=outside(), stdout=log, stderr=log)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not (root / ".scrooge/demo/demo.json").exists():
                assert demo.poll() is None, (root / "demo.log").read_text()
                assert time.monotonic() < until, (root / "demo.log").read_text()
                time.sleep(0.1)
            yield root
        finally:
            demo.terminate()
            demo.wait(PATIENCE_SECONDS)


def outside() -> dict[str, str]:
    """The environment of somebody who has set nothing; python3 is the one that runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SCROOGE_")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


@pytest.fixture(scope="module")
def answers(place: Path) -> list[str]:
    """What the shell prints for each step. A command that fails ends the tour there."""
    found = json.loads((place / ".scrooge/demo/demo.json").read_text())
    script = "set -eu -o pipefail\n"
    for number, (commands, _) in enumerate(STEPS):
        script += f"{commands}echo '<end of step {number}>'\n"
    for name, default in DEFAULTS.items():
        assert default in script
        script = script.replace(default, found[name])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=outside(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"the tour ended early:\n{done.stdout[-3000:]}"
    printed = re.split(r"<end of step \d+>\n", done.stdout)
    assert len(printed) == len(STEPS) + 1
    return printed[:-1]


def test_the_tour_shows_what_it_promises() -> None:
    shown = README.read_text()
    assert len(STEPS) >= 10
    for word in ("make demo", "make test", "captures", "refunds", "next_action", "faults", "trial-balance", "check"):
        assert word in shown


@pytest.mark.parametrize("number", range(len(STEPS)), ids=lambda n: STEPS[n][0].split("\n")[0][:40])
def test_a_step_of_the_tour_answers_as_shown(number: int, answers: list[str]) -> None:
    shown = STEPS[number][1]
    if shown is None:
        assert "rror" not in answers[number]
    else:
        assert pattern(shown).search(answers[number]), f"shown:\n{shown}\nprinted:\n{answers[number]}"


def test_the_summary_is_worded_as_the_demo_words_it() -> None:
    """The excerpt names what the demo's own page names."""
    words = (ROOT / "src/scrooge/cli/demo/story.py").read_text()
    for said in ("What happened", "attempts at PSPs", "lost answers found out", "notifications", "payments per second"):
        assert said in words
        assert said in README.read_text()
