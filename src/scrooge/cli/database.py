"""`migrate` and `check`: is the schema up to date, and is the money right?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import msgspec
import typer

from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.cli.place import place, require_schema, url_of
from scrooge.connectors.registry import connectors
from scrooge.errors import Problem
from scrooge.settings import load
from scrooge.storage.audit import audit
from scrooge.storage.findings import FAULTS, Report
from scrooge.storage.migrate import migrate as bring_up_to_date
from scrooge.storage.truth import TruthLine


class SandboxUnreachable(Problem):
    """The sandbox whose truth was asked for does not answer."""


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing; exit 3 if behind.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the schema up to date, safely on a live system."""
    with place(load(), migrated=False) as settings:
        done = asyncio.run(bring_up_to_date(url_of(settings), check=check))
    if as_json:
        document(done)
    else:
        lines = [f"applied {name}" for name in done.applied] + [f"missing {name}" for name in done.behind]
        typer.echo("\n".join(lines) or "up to date")
    if done.behind:
        raise typer.Exit(FOUND_PROBLEMS)


def plain_url(text: str | None) -> str | None:
    try:
        parts = urlsplit(text or "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if text is not None and not usable:
        raise typer.BadParameter("takes a URL like http://127.0.0.1:8090", param_hint="--sandbox")
    return text


def check(
    sandbox: Annotated[
        str | None, typer.Option(metavar="URL", callback=plain_url, help="Compare with this sandbox's truth.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Audit the money: rows, books, and with a sandbox what the PSPs really did."""
    with place(load(), existing=True) as settings:
        require_schema(settings)
        report = asyncio.run(audited(url_of(settings), sandbox))
    if as_json:
        document(report)
    else:
        show(report, compared=sandbox is not None)
    if not report.ok:
        raise typer.Exit(FOUND_PROBLEMS)


async def audited(url: str, sandbox: str | None) -> Report:
    """Raises DatabaseUnavailable, SandboxUnreachable."""
    expected = {
        (connector.name, str(operation)): seconds
        for connector in connectors().values()
        for operation, seconds in connector.recovery.expected.items()
    }
    return await audit(url, expected, truth(sandbox) if sandbox else None)


async def truth(sandbox: str) -> AsyncIterator[TruthLine]:
    """Every line of the sandbox's truth, page by page, never all in memory."""
    decoder = msgspec.json.Decoder(TruthLine)
    read = 0
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_connect=5, sock_read=30)) as http:
            while True:
                before = read
                url = f"{sandbox.rstrip('/')}/truth?after={read}"
                async with http.get(url, raise_for_status=True) as page:
                    async for line in page.content:
                        yield decoder.decode(line)
                        read += 1
                if read == before:
                    return
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise SandboxUnreachable(f"no truth from {sandbox}: {error or type(error).__name__}") from error


def show(report: Report, *, compared: bool) -> None:
    """The counts, faults first, then the findings."""
    counts = {name: value for name, value in msgspec.structs.asdict(report).items() if isinstance(value, int)}
    ordered = [*FAULTS, *(name for name in counts if name not in FAULTS and name != "ok")]
    table(("money check", "count"), ((n.replace("_", " "), str(counts[n])) for n in ordered), right=("count",))
    for sentence in report.findings:
        say(f"! {sentence}")
    typer.echo(verdict(report))
    if not compared:
        typer.echo("our rows and books only: the PSPs were not asked (--sandbox URL asks the simulated ones)")


def verdict(report: Report) -> str:
    if not report.ok:
        return "the money is NOT right"
    if report.unresolved == 1:
        return "the money is right, as far as it is known: 1 attempt is unresolved"
    if report.unresolved:
        return f"the money is right, as far as it is known: {report.unresolved} attempts are unresolved"
    return "the money is right"
