"""`scrooge vault ...` as an operator runs it: a process of its own."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scrooge.cli.operator import operator_name
from tests.births import Born, born

OPERATORS = {"alice": "71001", "bob": "71002", "carol": "71003"}


def played(who: str) -> dict[str, str]:
    """An operator's environment. As root each is the account that sudo was called from; others can only be themselves."""
    if os.geteuid() == 0:
        return {"SUDO_UID": OPERATORS[who]}
    if who != "alice":
        pytest.skip("two operators are two accounts, which only root can play")
    return {}


def known_as(who: str) -> str:
    """As the audit has an operator that is played."""
    return f"operator:uid-{OPERATORS[who]}" if os.geteuid() == 0 else f"operator:{operator_name()}"


class Command:
    """One that has been started."""

    def __init__(
        self, env: dict[str, str], arguments: tuple[str, ...], who: str, given: Path | None = None,
        out: Path | None = None,
    ) -> None:  # fmt: skip
        folder = Path(tempfile.mkdtemp(prefix="scrooge-command-"))
        self.out, self.log = out or folder / "out", folder / "log"
        self.log.touch()
        self.process: Born = born(
            "command", env={**env, **played(who)}, log=self.log,
            arguments=list(arguments), out=str(self.out), input=given and str(given),
        )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_text()

    async def ended(self, code: int | None = 0) -> str:
        """What it printed; `code` None: however it ended."""
        got = await asyncio.to_thread(self.process.wait, 120)
        assert code is None or got == code, f"ended with {got}: {self.said}"
        return self.out.read_text() if self.out.is_file() else ""


async def scrooge(env: dict[str, str], *arguments: str, code: int = 0, who: str = "alice") -> Any:
    """The document that `--json` printed."""
    return msgspec.json.decode(await Command(env, (*arguments, "--json"), who).ended(code))


async def refused(env: dict[str, str], *arguments: str, code: int = 2, who: str = "alice") -> str:
    """What was said of a command that was not done."""
    command = Command(env, arguments, who)
    await command.ended(code)
    return command.said
