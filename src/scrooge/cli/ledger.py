"""`ledger export` and `ledger balances`: the books, for other programs and for the eye."""

import asyncio
import os
import sys
from collections import defaultdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.cli.place import place, require_schema, url_of
from scrooge.errors import Problem
from scrooge.ledger.export import FORMATS
from scrooge.money import decimal, exponent_of
from scrooge.settings import load
from scrooge.storage import export as books
from scrooge.storage.export import LedgerBalance

app = typer.Typer(no_args_is_help=True, help="The books in formats that other programs verify.")


class FileRefused(Problem):
    """The system does not let us write the file that was asked for."""


class Form(StrEnum):
    HLEDGER = "hledger"
    BEANCOUNT = "beancount"
    CSV = "csv"


class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"


Books = Annotated[Mode | None, typer.Option("--mode", help="Which books; the live ones if there are any.")]


@app.command()
def export(
    form: Annotated[Form, typer.Option("--format", help="What to write.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead of stdout.")] = None,
    mode: Books = None,
    as_json: Json = False,
) -> None:
    """Write the books so that `hledger check --strict` or `bean-check` can verify them."""
    if as_json and output is None:
        raise typer.BadParameter("stdout takes one document: give -o FILE with --json", param_hint="--json")
    with place(load(), existing=True) as settings:
        require_schema(settings)
        count = write(url_of(settings), form, output, mode)
    if as_json:
        document({"format": str(form), "file": str(output), "journals": count})
    elif output is not None:
        say(f"{count} journals in {output}")


def write(url: str, form: Form, output: Path | None, mode: Mode | None) -> int:
    """Into a file whole or not at all, or to stdout as it comes. Raises FileRefused."""
    live = None if mode is None else mode is Mode.LIVE
    if output is None:
        return asyncio.run(books.export(url, FORMATS[form], sys.stdout.write, live=live))
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            count = asyncio.run(books.export(url, FORMATS[form], file.write, live=live))
        os.replace(unfinished, output)
    except OSError as error:
        raise FileRefused(f"{output} cannot be written: {error.strerror or error}") from error
    return count


@app.command()
def balances(mode: Books = None, as_json: Json = False) -> None:
    """Show the balance of every ledger account; exit 3 if debits and credits differ."""
    live = None if mode is None else mode is Mode.LIVE
    with place(load(), existing=True) as settings:
        require_schema(settings)
        found = asyncio.run(books.trial_balance(url_of(settings), live=live))
    in_balance = not any(totals(found).values())
    lines = [shown(b) for b in found]
    if as_json:
        document({"in_balance": in_balance, "balances": lines})
    else:
        columns = ("merchant", "account", "currency", "debits", "credits", "balance")
        table(columns, ([line[c] for c in columns] for line in lines), right=("debits", "credits", "balance"))
        typer.echo("debits equal credits" if in_balance else "debits do NOT equal credits")
    if not in_balance:
        raise typer.Exit(FOUND_PROBLEMS)


def totals(found: list[LedgerBalance]) -> dict[tuple[str, str], int]:
    """By merchant and currency; zero when the books are in balance."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for b in found:
        sums[b.merchant, b.currency] += b.minor
    return sums


def shown(b: LedgerBalance) -> dict[str, str]:
    """Amounts as decimal strings in the currency's scale."""
    scale = exponent_of(b.currency)
    return {
        "merchant": b.merchant,
        "account": b.account,
        "currency": b.currency,
        "debits": decimal(b.debits, scale),
        "credits": decimal(b.credits, scale),
        "balance": decimal(b.minor, scale),
    }
