"""`scrooge routing`: what concerns the choice of accounts."""

import typer

from scrooge.cli.routing import policies, steer
from scrooge.cli.routing.costs import costs
from scrooge.cli.routing.declines import declines
from scrooge.cli.routing.trial import trial

app = typer.Typer(no_args_is_help=True, help="How payments are routed.")
app.command()(policies.lint)
app.command()(policies.draft)
app.command()(policies.diff)
app.command()(policies.activate)
app.command()(policies.rollback)
app.command("list")(policies.list_)
app.command()(policies.show)
app.command()(steer.explain)
app.command()(steer.switch)
app.command()(steer.switches)
app.command()(steer.unswitch)
app.command()(steer.tariffs)
app.command()(costs)
app.command()(declines)
app.command()(trial)
