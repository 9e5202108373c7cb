"""`scrooge routing`: what concerns the choice of accounts."""

import typer

from scrooge.cli.routing.trial import trial

app = typer.Typer(no_args_is_help=True, help="How payments are routed.")
app.command()(trial)


@app.callback()
def routing() -> None:
    """Commands come after it, also while there is one only."""
