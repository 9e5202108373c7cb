"""`errands list`, `errands retry`: what was given up at a PSP or at the vault, and its next turn at once."""

from typing import Annotated, Any

import typer

from scrooge.cli.keys import run
from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.cli.place import place
from scrooge.errors import MalformedId, SettingsError
from scrooge.ids import number_of
from scrooge.settings import load
from scrooge.storage import errands

app = typer.Typer(no_args_is_help=True, help="What moves no money and could not be done: see the breaks errand_parked.")
SHOWN = 1000


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show what was given up, oldest first, and what stands in its way; exit 3 if there is any."""
    with place(load(), existing=True) as settings:
        found: list[dict[str, Any]] = run(settings, lambda db: errands.parked(db, SHOWN))
    if as_json:
        document({"errands": found})
    else:
        names = ("id", "kind", "instrument", "tries", "created_at", "note")
        table(names, ([str(row[name]) for name in names] for row in found), right=("tries",))
    if found:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def retry(
    errand_ids: Annotated[list[str] | None, typer.Argument(metavar="[ERRAND_ID]...", help="As `list` shows.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that was given up.")] = False,
    as_json: Json = False,
) -> None:
    """Have it tried now instead of once a day, when what stood in its way is mended. Exit 3 if one was not given up."""
    if bool(errand_ids) is every:
        raise typer.BadParameter("takes ids of errands, or --all")
    for text in errand_ids or ():
        try:
            number_of(text, "ern")
        except MalformedId:
            raise SettingsError("expected ids of errands, ern_...: `scrooge errands list` shows them") from None
    with place(load(), existing=True) as settings:
        due: list[str] = run(settings, lambda db: errands.hurry(db, errand_ids or None))
    missing = sorted(set(errand_ids or ()) - set(due))
    if as_json:
        document({"due": due, "not_parked": missing})
    else:
        say(f"{len(due)} are due now: a worker takes them in turn")
        for errand in missing:
            say(f"! {errand} was not given up: it is done, due, or no errand")
    if missing:
        raise typer.Exit(FOUND_PROBLEMS)
