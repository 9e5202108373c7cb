"""How a batch is shown on a terminal: a bar while it goes on, a table when it stands still."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from scrooge.cli.batch.client import Client
from scrooge.cli.output import STDERR

ENDED = frozenset({"completed", "canceled", "expired"})
LOOK_SECONDS = 0.5


@contextmanager
def bar(what: str, total: int, *, bytes_: bool = False) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how far it is."""
    size = (DownloadColumn(), TransferSpeedColumn()) if bytes_ else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *size, TimeRemainingColumn())
    with Progress(*columns, console=STDERR, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


async def watched(api: Client, found: dict[str, Any]) -> dict[str, Any]:
    """The batch once it has ended, or cannot go on by itself."""
    counts = found["counts"]
    with bar(found["name"], counts["valid"]) as seen:
        while found["status"] not in ENDED and found["status"] != "draft":
            counts = found["counts"]
            seen(counts["valid"] - counts["queued"])
            await asyncio.sleep(LOOK_SECONDS)
            found = await api.ask("GET", f"/v1/batches/{found['id']}")
    return found


def told(found: dict[str, Any]) -> None:
    counts = found["counts"]
    because = f" ({found['because']})" if found["because"] else ""
    typer.echo(f"{found['id']}  {found['name']}  {found['status']}{because}")
    for name, count in counts.items():
        if count or name == "total":
            typer.echo(f"  {name:<12}{count:>12,}")
    for name, value in (("lines a second", found["rate"]), ("done at", found["eta"]), ("approved", found["auth_rate"])):
        if value is not None:
            typer.echo(f"  {name:<16}{value}")
