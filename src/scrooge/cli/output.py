"""What commands say: results on stdout, everything else on stderr; `--json` is one document on stdout."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

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
    """A result for the eye; `right` names the columns of numbers. Never folded or cut: a pipe reads it too."""
    lines = [tuple(columns), *map(tuple, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())
