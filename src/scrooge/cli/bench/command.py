"""`bench`: how fast it is, what that costs, and how near that is to what the database can do."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from scrooge.cli.bench.crew import CrewError
from scrooge.cli.bench.limit import LimitError
from scrooge.cli.bench.options import Options
from scrooge.cli.bench.run import run
from scrooge.cli.bench.server import Server, server
from scrooge.cli.output import FAILED, FOUND_PROBLEMS, Json, document, say, table
from scrooge.cli.place import usable
from scrooge.settings import load


class Psp(StrEnum):
    MINIMAL = "minimal"
    SANDBOX = "sandbox"


Rate = Annotated[
    float | None, typer.Option(min=1, help="Payments a second of an open loop, instead of the closed one.")
]
Profile = Annotated[
    Path | None, typer.Option(help="Write to this directory where the CPU time goes; one serving process.")
]
Grow = Annotated[
    int | None,
    typer.Option(
        min=1000,
        help="Instead: rounds while the tables grow to so many payments, from 10,000 by tens. Needs a superuser.",
    ),
]
Payments = Annotated[
    int | None, typer.Option(min=1, help="Instead: so many payments in one go, and the memory of serve.")
]
Batch = Annotated[
    int | None,
    typer.Option(min=1000, help="Instead: so many renewals as one batch, alone and beside people who pay."),
]
Vault = Annotated[bool, typer.Option("--vault", help="Instead: the card vault alone, and what it adds to a payment.")]
Cards = Annotated[int | None, typer.Option(min=1, max=8_000_000, help="With --vault: also with so many cards kept.")]
Routing = Annotated[bool, typer.Option("--routing", help="Instead: routing decisions alone, in this process.")]
BatchIntake = Annotated[
    int | None,
    typer.Option(min=1, max=5_000_000, help="Instead: upload a batch of so many lines, and have it checked."),
]
StoredValue = Annotated[
    bool, typer.Option("--stored-value", help="Instead: payments from stored value, many accounts and a single one.")
]
DataDir = Annotated[Path, typer.Option(help="Where a directory for the run is made and removed.")]


def bench(
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each round.")] = 10.0,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Connections of the closed loop.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Their median is told.")] = 3,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Serving processes.")] = 1,
    psp: Annotated[Psp | None, typer.Option(help="Only against this one; both unless told.")] = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="How long the PSP takes to answer.")] = 0.0,
    rate: Rate = None,
    brief: Annotated[bool, typer.Option("--brief", help="Without low load and half capacity.")] = False,
    profile: Profile = None,
    grow: Grow = None,
    payments: Payments = None,
    batch: Batch = None,
    vault: Vault = False,
    cards: Cards = None,
    routing: Routing = False,
    batch_intake: BatchIntake = None,
    stored_value: StoredValue = False,
    data_dir: DataDir = Path(".scrooge"),
    as_json: Json = False,
) -> None:
    """Measure payments through everything, on a real PostgreSQL, against the limit that the database sets."""
    if routing:
        decisions(seconds, as_json)
        return
    if profile is not None:
        if workers > 1:
            raise typer.BadParameter("looks at one serving process: leave out --workers", param_hint="--profile")
        with usable(profile, "--profile"):
            profile.mkdir(parents=True, exist_ok=True)
    settings = load()
    psps = ("minimal", "sandbox") if psp is None else (str(psp),)
    options = Options(
        seconds=seconds, rounds=rounds, clients=clients, workers=workers, psps=psps, latency_ms=latency_ms,
        rate=rate, brief=brief, grow=grow, payments=payments, batch=batch, cards=cards, stored_value=stored_value,
        profile=None if profile is None else str(profile.resolve()),
    )  # fmt: skip
    try:
        with server(settings, data_dir.expanduser(), clients) as where:
            if batch_intake is not None:
                taken_in(where, batch_intake, as_json)
                return
            found = vaults_run()(where, options, say) if vault else run(where, options, say)
    except (CrewError, LimitError) as error:
        say(f"scrooge: {error}")
        raise typer.Exit(FAILED) from None
    judge(found, "audit" if vault else "money", as_json)


def judge(found: dict[str, Any], what: str, as_json: bool) -> None:
    """A fast wrong number is not a number."""
    if as_json:
        document(found)
    else:
        show(found)
    if not found["ok"]:
        say(f"the {what} is NOT right: these figures mean nothing")
        raise typer.Exit(FOUND_PROBLEMS)
    say(f"the {what} is right")


def decisions(seconds: float, as_json: bool) -> None:
    """Nothing but routing is imported for it, and no database is needed."""
    from scrooge.cli.bench.routing import measured

    found = measured(seconds, say, Path.cwd())
    if as_json:
        document(found)
    else:
        table(("routing", "median"), [(key, told(value)) for key, value in found.items() if key != "machine"])


def taken_in(where: Server, lines: int, as_json: bool) -> None:
    """Nothing is sent by it, so there is no money to look at."""
    from scrooge.cli.bench.intake import run

    found = run(where, lines, say)
    if as_json:
        document(found)
    else:
        names = ("lines_per_second", "seconds", "repeated_lines_per_second", "cpu_us_per_line", "rss_mb")
        table(("batch intake", "measured"), [(name, told(found[name])) for name in names])
    if not found["ok"]:
        say("lines are missing or refused: these figures mean nothing")
        raise typer.Exit(FOUND_PROBLEMS)


def vaults_run() -> Callable[[Server, Options, Callable[[str], None]], dict[str, Any]]:
    """The vault's code is imported where it is measured, and nowhere else."""
    from scrooge.cli.bench.vault.run import run

    return run


def show(found: dict[str, Any]) -> None:
    sections = {f"{name} PSP": found[name] for name in found["options"]["psps"] if name in found}
    sections |= {name: found[name] for name in ("tokenize", "fill", "stored") if name in found}
    if "hop" in found:
        sections |= {f"hop, {name}": section for name, section in found["hop"].items()}
    sections |= {f"{one['payments_before']:,} payments": one for one in found.get("curve", [])}
    sections |= {name: found[name] for name in ("cards", "accounts", "one_account") if name in found}
    if found["options"]["payments"] or found["options"]["batch"]:
        sections["one run"] = found
    for name, section in sections.items():
        rows = [(key, told(section[key])) for key in SHOWN if key in section]
        table((name, "median"), rows)
        typer.echo("")


SHOWN = (
    "payments_per_second", "spread", "limit_per_second", "ratio_to_limit", "latency_ms", "overhead_ms",
    "cpu_ms_per_payment", "commits_per_payment", "wal_kb_per_payment", "errors", "rss_mb", "settled_seconds",
    "bytes_per_payment", "per_second", "cpu_ms", "commits_each", "wal_kb_each", "added_ms", "direct", "by_vault",
    "rate", "cards", "payments", "worker_rss_mb", "p99_ratio", "seconds", "kb_each", "tokenize", "fill",
)  # fmt: skip


def told(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{k} {told(v)}" for k, v in value.items()) or "none"
        case list():
            return " to ".join(told(v) for v in value)
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        case _:
            return str(value)
