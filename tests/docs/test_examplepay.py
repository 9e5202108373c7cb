"""The walk-through of CONTRIBUTING.md: a connector of somebody else's package is found, and passes the contract suite."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "examplepay"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())
SUITE = (
    f"PYTHONPATH={PACKAGE.relative_to(ROOT)} .venv/bin/python -m pytest -p examplepay_cases"
    ' tests/connectors/test_contract.py tests/connectors/test_completeness.py -k "examplepay and not reviewed"'
)


def run(*arguments: str, path: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """What an installer leaves behind: the module, and metadata with its entry points."""
    about = PROJECT["project"]
    metadata = tmp_path / f"scrooge_examplepay-{about['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    [(group, points)] = about["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return os.pathsep.join((str(PACKAGE), str(tmp_path)))


def test_an_installed_package_adds_its_connector(installed: str) -> None:
    code = "from scrooge.connectors.registry import connectors; print(*sorted(connectors()))"
    assert run("-c", code, path=installed).split() == ["adyen", "examplepay", "stored_value", "stripe", "tsp"]


def test_without_the_package_there_is_no_such_connector() -> None:
    code = "from scrooge.connectors.registry import connectors; print(*sorted(connectors()))"
    assert "examplepay" not in run("-c", code, path="")


def test_it_passes_the_contract_suite_as_the_page_says() -> None:
    page = " ".join((ROOT / "CONTRIBUTING.md").read_text().replace("\\\n", " ").split())
    assert SUITE in page
    said = run(
        "-m", "pytest", "-p", "no:cacheprovider", "-p", "examplepay_cases", "tests/connectors/test_contract.py",
        "tests/connectors/test_completeness.py", "-k", "examplepay and not reviewed", path=str(PACKAGE),
    )  # fmt: skip
    assert " passed" in said
    assert int(said.split(" passed")[0].split()[-1]) > 60
