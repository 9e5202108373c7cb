"""What commands say: results on stdout, everything else on stderr; `--json` is one document on stdout."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

STDOUT = Console(highlight=False, soft_wrap=True)
STDERR = Console(stderr=True, highlight=False, soft_wrap=True)
DONE, FAILED, WRONG_USAGE, FOUND_PROBLEMS = 0, 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def document(content: Any) -> None:
    """The one JSON document of a command."""
    typer.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def say(sentence: str) -> None:
    """Progress, for the person who waits."""
    STDERR.print(escape(sentence))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A result for the eye; `right` names the columns of numbers. Never folded: a pipe reads it too."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*map(escape, row))
    STDOUT.print(shown, soft_wrap=True)
