"""The command line: `scrooge COMMAND`. Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 found problems."""

import signal
from importlib.metadata import version
from typing import Annotated

import typer

from scrooge.cli import cards, database, doctor, errands, keys, ledger, mandates, processes, recoveries, stored_value
from scrooge.cli.batch import command as batch
from scrooge.cli.bench import command as bench
from scrooge.cli.demo import command as demo
from scrooge.cli.output import FAILED, WRONG_USAGE, say
from scrooge.cli.risk import command as risk
from scrooge.cli.routing import command as routing
from scrooge.cli.vault import cards as vault_cards
from scrooge.cli.vault import command as vault
from scrooge.cli.vault import keys as vault_keys
from scrooge.cli.vault import moving as vault_moving
from scrooge.errors import Problem, SettingsError
from scrooge.postgres.embedded import EmbeddedError
from scrooge.postgres.migrate import MigrationError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Scrooge, the payment transaction core. Settings are SCROOGE_ variables: docs/settings.md.",
)
app.command()(demo.demo)
app.command()(bench.bench)
app.command()(processes.serve)
app.command()(processes.worker)
app.command()(processes.sandbox)
app.command(hidden=True)(processes.shop)
app.command()(database.migrate)
app.command()(database.check)
app.command()(doctor.doctor)
app.command("test-cards")(cards.list_cards)
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="keys")
app.add_typer(routing.app, name="routing")
app.add_typer(risk.app, name="risk")
app.add_typer(errands.app, name="errands")
app.add_typer(mandates.app, name="mandates")
app.add_typer(recoveries.app, name="recoveries")
app.add_typer(stored_value.app, name="stored-value")
app.add_typer(batch.app, name="batch")
vault.app.command()(vault_cards.status)
vault.app.command()(vault_cards.forget)
vault.app.add_typer(vault_moving.export, name="export")
vault.app.command("import")(vault_moving.import_cards)
vault.app.command()(vault_moving.transfers)
vault.app.command()(vault_moving.pack)
vault.app.command()(vault_moving.unpack)
vault.app.command()(vault_cards.snippet)
app.add_typer(vault.app, name="vault")
vault.app.add_typer(vault_keys.app, name="keys")
vault.app.command()(vault_keys.unseal)
app.add_typer(vault.audit, name="audit")


def show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"scrooge {version('scrooge')}")
        raise typer.Exit()


@app.callback()
def scrooge(
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that come before a command."""


def end(*_: object) -> None:
    """Told to stop: everything on the way out still happens."""
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """What is expected to go wrong ends in a sentence; a stack trace is a bug of ours."""
    signal.signal(signal.SIGTERM, end)
    try:
        app()
    except SettingsError as error:
        say(f"scrooge: {error}")
        raise SystemExit(WRONG_USAGE) from None
    except Problem as error:
        say(f"scrooge: {error.detail}")
        raise SystemExit(FAILED) from None
    except (EmbeddedError, MigrationError) as error:
        say(f"scrooge: {error}")
        raise SystemExit(FAILED) from None
