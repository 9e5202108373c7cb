"""The crash points: each is somewhere in the code, and the code has no others."""

import ast
from pathlib import Path

from scrooge import crash

CODE = Path(crash.__file__).parent


def reached() -> set[str]:
    """The names that the code gives to `reach`, as literals."""
    found = set()
    for path in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                [name, *_] = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: a crash point has a name"
                found.add(name.value)
    return found


def test_every_crash_point_is_in_the_code_and_the_code_has_no_others():
    assert reached() == set(crash.POINTS)
