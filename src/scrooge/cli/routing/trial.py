"""`routing trial`: policies compared in a simulated world. Nothing is sent anywhere, and nothing is stored."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scrooge.cli.output import FOUND_PROBLEMS, STDERR, Json, document, say, table
from scrooge.errors import SettingsError
from scrooge.routing.trial.checks import WorldRefused, read
from scrooge.routing.trial.enforced import Enforced
from scrooge.routing.trial.run import POLICIES, Trial
from scrooge.routing.trial.scrooge import Scrooge
from scrooge.routing.trial.world import World

ALL = ",".join(POLICIES)
PAYMENTS_MAX, SEED_MAX = 100_000_000, 2**63 - 1
SHIPPED = files("scrooge.routing.trial").joinpath("worlds")
WORLDS = sorted(f.name.removesuffix(".toml") for f in SHIPPED.iterdir() if f.name.endswith(".toml"))
PlayedWorld = Annotated[str, typer.Option("--world", help=f"A file, or one of ours: {', '.join(WORLDS)}.")]
Some = Annotated[
    str, typer.Option(help=f"Only these, separated by commas: {', '.join(POLICIES)}. Without the oracle no regret.")
]


def trial(
    world: PlayedWorld,
    payments: Annotated[int, typer.Option(min=1, max=PAYMENTS_MAX, help="How many.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="The same seed, the same luck.")] = 1,
    policies: Some = ALL,
    as_json: Json = False,
) -> None:
    """Compare Scrooge's routing with simpler policies and with an oracle, in a simulated world."""
    chosen = named(policies)
    found_world = world_of(world)
    found = played(found_world, payments, seed, chosen)
    if as_json:
        document(found)
    else:
        show(found)
    ours = found["policies"].get("scrooge", {})
    if ours.get("scheme_violations"):
        say(f"Scrooge broke rules of the schemes: {ours['violated']}")
        raise typer.Exit(FOUND_PROBLEMS)


def named(policies: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(p.strip() for p in policies.split(",") if p.strip()))
    if not chosen or set(chosen) - set(POLICIES):
        raise typer.BadParameter(f"takes names out of {', '.join(POLICIES)}", param_hint="--policies")
    return chosen


def world_of(name: str) -> World:
    """Raises SettingsError with every place of the file that is wrong."""
    try:
        text = SHIPPED.joinpath(f"{name}.toml").read_text() if name in WORLDS else Path(name).read_text()
        return read(text)
    except OSError as error:
        raise SettingsError(f"--world {name}: {error.strerror}; ours are {', '.join(WORLDS)}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"--world {name}: is no text") from None
    except WorldRefused as error:
        raise SettingsError(f"--world {name}:\n{error}") from None


def played(world: World, payments: int, seed: int, policies: tuple[str, ...]) -> dict[str, Any]:
    it = Trial(world, payments, seed, {"scrooge": lambda: Scrooge(world)}, Enforced, policies)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeRemainingColumn())
    with Progress(*columns, console=STDERR, transient=True) as progress:
        task = progress.add_task(f"{world.name}, simulated", total=payments)
        return it.run(lambda done: progress.update(task, completed=done))


def show(found: dict[str, Any]) -> None:
    """As a table, best policy first; amounts in minor units."""
    typer.echo(f"{found['world']}: {found['about']} SIMULATED.")
    typer.echo(f"{found['payments']:,} payments, seed {found['seed']}; amounts in minor units of {found['currency']}.")
    typer.echo("")
    lines = sorted(found["policies"].items(), key=lambda line: -line[1].get("net_value", line[1]["realized_value"]))
    columns = ("policy", "approved", "first try", "cost bps", "net value", "regret", "retries", "violations")
    table(columns, [row(name, p) for name, p in lines], right=columns[1:])
    if outages := [(name, o) for name, p in lines for o in p.get("outages", [])]:
        typer.echo("")
        columns = ("policy", "outage", "begins", "noticed after", "lost of first minute")
        table(columns, [outage_row(name, o) for name, o in outages], right=columns[2:])


def row(name: str, p: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{name} ({p['account']})" if "account" in p else name,
        f"{p['auth_rate']:.2%}",
        f"{p['first_try']:.2%}",
        f"{p['cost_bps']:.1f}",
        f"{p.get('net_value', p['realized_value']):,.0f}",
        f"{p['regret']:,.0f}" if "regret" in p else "",
        f"{p['retries']:,}",
        f"{p['scheme_violations']:,}",
    )


def outage_row(name: str, o: dict[str, Any]) -> tuple[str, ...]:
    noticed, lost = o["reaction_seconds"], o["lost_share_first_minute"]
    return (
        name, f"{o['account']} {o['kind']}", f"{o['since_seconds']:,.0f} s",
        "never" if noticed is None else f"{noticed:.1f} s", "" if lost is None else f"{lost:.2%}",
    )  # fmt: skip
