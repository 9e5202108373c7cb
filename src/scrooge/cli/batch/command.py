"""`batch submit, status, results, errors, start, pause, resume, cancel`: files of payments, through the API."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar
from urllib.parse import quote

import typer

from scrooge.cli.batch.client import Client, client
from scrooge.cli.batch.shown import bar, told, watched
from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.errors import SettingsError

SHOWN = 20
T = TypeVar("T")
BatchId = Annotated[str, typer.Argument(metavar="BATCH_ID", help="As `batch submit` says.")]
After = Annotated[int, typer.Option(min=0, help="The last line that you have.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Into this file; stdout unless given.")]
Reason = Annotated[str, typer.Option(help="For those who read the history.")]
app = typer.Typer(no_args_is_help=True, help="Files of merchant-initiated payments, through the API: docs/batches.md.")


def at_api(work: Callable[[Client], Awaitable[T]]) -> T:
    async def within() -> T:
        async with client() as api:
            return await work(api)

    return asyncio.run(within())


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of NDJSON: docs/batches.md.")],
    name: Annotated[str | None, typer.Option(help="The file's name unless given.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Makes it the same batch, however often it is submitted: a date, a run's number.")
    ] = None,
    batch: Annotated[str | None, typer.Option(metavar="BATCH_ID", help="Go on with the upload to this batch.")] = None,
    not_before: Annotated[str | None, typer.Option(metavar="MOMENT", help="Send nothing before.")] = None,
    deadline: Annotated[str | None, typer.Option(metavar="MOMENT", help="Send nothing after.")] = None,
    max_tps: Annotated[float | None, typer.Option(min=0.01, help="Payments a second at most.")] = None,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Send it when its lines are checked.")] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Upload a file, have each line checked, and send it. Exit 3 if lines are wrong, or with --wait were not sent."""
    if not file.is_file():
        raise SettingsError(f"{file}: there is no such file")
    size = file.stat().st_size
    wanted: dict[str, Any] = {"name": (name or file.name)[:128]}
    if not_before or deadline:
        wanted["window"] = {"not_before": not_before, "deadline": deadline}
    if max_tps is not None:
        wanted["pacing"] = {"max_tps": max_tps}

    async def work(api: Client) -> dict[str, Any]:
        batch_id = batch
        if batch_id is None:
            made = await api.ask(
                "POST", "/v1/batches", json=wanted, headers={"Idempotency-Key": key or uuid.uuid4().hex}
            )
            batch_id = made["id"]
            say(
                f"{batch_id}: uploading; goes on with `scrooge batch submit {file} --batch {batch_id}` if it is stopped"
            )
        with bar(f"{file.name}, uploaded", size, bytes_=True) as seen:
            found = await api.upload(batch_id, file, size, seen)
        say_what_was_found(found)
        if start and found["status"] == "ready":
            found = await api.ask("POST", f"/v1/batches/{batch_id}/start", json={})
        return await watched(api, found) if wait and start else found

    found = at_api(work)
    tell(found, as_json)
    counts = found["counts"]
    if counts["rejected"] or (wait and (counts["refused"] or counts["left"])):
        raise typer.Exit(FOUND_PROBLEMS)


def say_what_was_found(batch: dict[str, Any]) -> None:
    counts, name = batch["counts"], batch["id"]
    say(f"{counts['total']:,} lines, of which {counts['rejected']:,} are wrong")
    if counts["rejected"]:
        say(f"which and why: `scrooge batch errors {name}`")
    if counts["existing"]:
        say(f"{counts['existing']:,} have a payment already and charge nothing: `scrooge batch existing {name}`")


@app.command()
def status(
    batch_id: Annotated[str | None, typer.Argument(metavar="[BATCH_ID]", help="The newest ones unless given.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Show a batch: what became of its lines so far, and when it will be done."""
    if batch_id is None:
        several(as_json)
        return

    async def work(api: Client) -> dict[str, Any]:
        found = await api.ask("GET", path_of(batch_id))
        return await watched(api, found) if wait else found

    tell(at_api(work), as_json)


def several(as_json: bool) -> None:
    found = at_api(lambda api: api.ask("GET", f"/v1/batches?limit={SHOWN}"))["data"]
    if as_json:
        document({"batches": found})
        return
    numbers = ("total", "rejected", "queued", "captured", "declined")
    table(
        ("id", "name", "status", *numbers, "created_at"),
        ((b["id"], b["name"], b["status"], *(f"{b['counts'][n]:,}" for n in numbers), b["created_at"]) for b in found),
        right=numbers,
    )


@app.command()
def results(batch_id: BatchId, after: After = 0, output: Output = None) -> None:
    """Write what became of each line, in order, as NDJSON; up to the first that has not ended."""
    stream(f"{path_of(batch_id)}/results", after, output)


@app.command()
def errors(batch_id: BatchId, after: After = 0, output: Output = None) -> None:
    """Write what is wrong with lines, in order, as NDJSON."""
    stream(f"{path_of(batch_id)}/errors", after, output)


@app.command()
def existing(batch_id: BatchId, after: After = 0, output: Output = None) -> None:
    """Write the lines whose references had a payment already when they came in, as NDJSON: they charge nothing."""
    stream(f"{path_of(batch_id)}/existing", after, output)


def stream(path: str, after: int, output: Path | None) -> None:
    async def work(api: Client, into: BinaryIO) -> None:
        async for line in api.lines(path, after):
            into.write(line)

    with contextlib.ExitStack() as stack:
        into = stack.enter_context(output.open("wb")) if output else sys.stdout.buffer
        at_api(lambda api: work(api, into))


def path_of(batch_id: str) -> str:
    return f"/v1/batches/{quote(batch_id, safe='')}"


def tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        document(found)
    else:
        told(found)


def change(batch_id: str, act: str, reason: str, as_json: bool) -> None:
    tell(at_api(lambda api: api.ask("POST", f"{path_of(batch_id)}/{act}", json={"reason": reason})), as_json)


@app.command()
def start(batch_id: BatchId, reason: Reason = "", as_json: Json = False) -> None:
    """Send a batch whose lines are checked, within its window."""
    change(batch_id, "start", reason, as_json)


@app.command()
def pause(batch_id: BatchId, reason: Reason = "", as_json: Json = False) -> None:
    """Begin no more payments for now."""
    change(batch_id, "pause", reason, as_json)


@app.command()
def resume(batch_id: BatchId, reason: Reason = "", as_json: Json = False) -> None:
    """Go on where it was paused."""
    change(batch_id, "resume", reason, as_json)


@app.command()
def cancel(batch_id: BatchId, reason: Reason = "", as_json: Json = False) -> None:
    """Begin no more payments, ever; those on the way come to their end."""
    change(batch_id, "cancel", reason, as_json)
