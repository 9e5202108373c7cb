"""`risk lint, draft, activate, rollback, list, show`: risk policies, from a file to what counts and back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scrooge.cli.output import Json, document, say, table
from scrooge.cli.risk.explain import explain
from scrooge.cli.routing.desk import Live, Merchant, at_desk, findings_told, id_of, read_file
from scrooge.errors import SettingsError
from scrooge.flows import risk_policies as flow
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import instant
from scrooge.risk.policy import rules_of
from scrooge.storage import risk
from scrooge.storage.policies import Desk
from scrooge.storage.risk import Version

SHOWN = 1000
File = Annotated[Path, typer.Argument(metavar="FILE", help="A risk policy in TOML, or in JSON (name.json).")]
PolicyId = Annotated[str, typer.Argument(metavar="POLICY_ID", help="As `risk list` shows.")]
Notes = Annotated[str, typer.Option(help="Why it was written.")]
Reason = Annotated[str, typer.Option(help="For those who read the history.")]
app = typer.Typer(no_args_is_help=True, help="What is checked before a payment.")


@app.command()
def lint(file: File, as_json: Json = False) -> None:
    """Check a risk policy; exit 3 if it has faults. Asks no database, and calls no service."""
    with findings_told(as_json):
        policy = flow.parsed(read_file(file))
    if as_json:
        document({"findings": []})
        return
    rules = rules_of(policy, "").rule
    decide = sum(rule.mode == "enforce" for rule in rules)
    service = "no service" if policy.service is None else f"a service that {policy.service.mode}s"
    typer.echo(f"{policy.name}: no faults; {len(rules)} rules, of which {decide} decide; {service}")


@app.command()
def draft(
    file: File, notes: Notes = "", merchant: Merchant = "default", live: Live = False, as_json: Json = False
) -> None:
    """Keep a risk policy as a version; exit 3 if it does not hold together. It counts when it is activated."""
    content = read_file(file)
    with findings_told(as_json):
        made, new = at_desk(merchant, live, lambda s, desk: flow.draft(s, desk, content, notes))
    if as_json:
        document(shown(made) | {"new": new})
    else:
        typer.echo(f"{made.id} is version {made.version}, {made.state}" + ("" if new else ": it was there before"))


@app.command()
def activate(
    policy_id: PolicyId,
    expect: Annotated[
        str | None, typer.Option(metavar="POLICY_ID", help="Only if this one (or `none`) is active now.")
    ] = None,
    reason: Reason = "",
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Check payments by a version from now on, in every process within a second."""
    to = id_of(policy_id, "rsk", "a risk policy")
    expected = None if expect in (None, "none") else id_of(expect, "rsk", "a risk policy")

    async def work(s: Scrooge, desk: Desk) -> Version:
        before = expected if expect is not None else (await risk.active(s.db, desk))[0]
        return await flow.activate(s, desk, to, before, reason)

    with findings_told(as_json):
        told(at_desk(merchant, live, work), as_json)


@app.command()
def rollback(
    to: Annotated[str, typer.Argument(metavar="POLICY_ID|none", help="One that was active before; or none at all.")],
    reason: Annotated[str, typer.Option(help="For those who read the history.")],
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Go back to a version that was active before; with none, nothing is checked."""
    if not reason.strip():
        raise SettingsError("--reason: say why")
    target = None if to == "none" else id_of(to, "rsk", "a risk policy")
    with findings_told(as_json):
        told(at_desk(merchant, live, lambda s, desk: flow.roll_back(s, desk, target, reason)), as_json)


@app.command("list")
def list_(merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show every version, newest first, and which is active."""
    found = at_desk(merchant, live, lambda s, desk: risk.policies(s.db, desk, limit=SHOWN))
    if as_json:
        document({"policies": [shown(p) for p in found]})
        return
    table(
        ("id", "version", "name", "state", "created_at", "activated_at", "author", "notes"),
        (
            (p.id, str(p.version), p.name, p.state, instant(p.created_at),
             instant(p.activated_at) if p.activated_at else "", p.author, p.notes)
            for p in found
        ),
        right=("version",),
    )  # fmt: skip


@app.command()
def show(policy_id: PolicyId, merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show a version: its document, in JSON."""
    one = id_of(policy_id, "rsk", "a risk policy")
    found = at_desk(merchant, live, lambda s, desk: flow.read(s, desk, one))
    if as_json:
        document(shown(found))
    else:
        say(f"{found.id}, version {found.version} by {found.author}: {found.state}")
        document(found.document)


def told(version: Version | None, as_json: bool) -> None:
    if as_json:
        document({"policy": None if version is None else shown(version)})
    elif version is None:
        typer.echo("no risk policy is active: nothing is checked")
    else:
        typer.echo(f"{version.id}, version {version.version}, is {version.state}")


def shown(p: Version) -> dict[str, Any]:
    return {
        "id": p.id, "version": p.version, "name": p.name, "state": p.state, "document": p.document,
        "author": p.author, "notes": p.notes, "created_at": instant(p.created_at),
        "activated_at": instant(p.activated_at) if p.activated_at else None,
    }  # fmt: skip


app.command()(explain)
