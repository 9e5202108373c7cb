"""`scrooge routing trial`: one document, and a wrong file is said with its place and exit code 2."""

import json
import subprocess
import sys

import pytest

WANTED = {"auth_rate", "first_try", "cost_bps", "net_value", "regret", "retries", "scheme_violations"}


def trial(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scrooge", "routing", "trial", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_document_has_every_policy_with_every_figure():
    done = trial("--world", "steady", "--payments", "100", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"scrooge", "window", "best_single", "random", "round_robin", "oracle"} <= set(found["policies"])
    assert all(set(policy) >= WANTED for policy in found["policies"].values())


def test_a_world_of_ones_own_is_played_and_shown_as_simulated(tmp_path):
    from tests.routing.trial.small import SMALL

    (tmp_path / "mine.toml").write_text(SMALL)
    done = trial("--world", str(tmp_path / "mine.toml"), "--payments", "50", "--policies", "scrooge,random")
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [("version = = 1", "line 1"), ("version = 1", "missing required field"), (None, "No such file")],
)
def test_a_file_that_is_wrong_is_wrong_usage(tmp_path, text, said):
    if text is not None:
        (tmp_path / "bad.toml").write_text(text)
    done = trial("--world", str(tmp_path / "bad.toml"))
    assert done.returncode == 2
    assert said in done.stderr


def test_an_unknown_policy_is_wrong_usage():
    done = trial("--world", "steady", "--policies", "luck")
    assert done.returncode == 2
    assert "--policies" in done.stderr
