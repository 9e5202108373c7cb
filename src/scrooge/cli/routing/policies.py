"""`routing lint, diff, draft, activate, rollback, list, show`: policies, from a file to what counts and back."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from scrooge.cli.output import Json, document, say, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk, findings_told, id_of, payment, read_file
from scrooge.errors import SettingsError
from scrooge.flows import policies as flow
from scrooge.flows.policy_checks import parsed, payment_shown, refuse
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import instant
from scrooge.routing.policy.lint import lint as faults_of
from scrooge.storage import policies
from scrooge.storage.policies import Desk, Version

SHOWN = 1000
File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy in TOML, or in JSON (name.json).")]
PolicyId = Annotated[str, typer.Argument(metavar="POLICY_ID", help="As `routing list` shows.")]
Reason = Annotated[str, typer.Option(help="For those who read the history.")]


def lint(
    file: File,
    accounts: Annotated[str, typer.Option(help="The accounts that there are, separated by commas.")] = "",
    as_json: Json = False,
) -> None:
    """Check a policy, with a payment that shows each fault; exit 3 if there is one. Asks no database."""
    known = {name.strip() for name in accounts.split(",") if name.strip()} or None
    with findings_told(as_json):
        policy = parsed(read_file(file))
        refuse(faults_of(policy, known))
    if as_json:
        document({"findings": []})
    else:
        typer.echo(f"{policy.name}: no faults" + ("" if known else "; accounts were not looked for (--accounts)"))


def diff(
    policy_id: PolicyId,
    base: Annotated[str | None, typer.Argument(metavar="[BASE_ID]", help="What is active, unless given.")] = None,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show what changes from one version to another, and which payments go elsewhere."""
    one, other = id_of(policy_id, "pol", "a policy"), base and id_of(base, "pol", "a policy")
    found_base, found = at_desk(merchant, live, lambda s, desk: flow.compare(s, desk, one, other))
    moved = None if found.moved is None else [
        {"payment": payment_shown(m.payment), "before": m.before, "after": m.after} for m in found.moved
    ]  # fmt: skip
    if as_json:
        document({"base": found_base, "policy": one, "changes": found.changes, "moved": moved})
        return
    table(("place", "before", "after"), ((c.place, short(c.before), short(c.after)) for c in found.changes))
    typer.echo("")
    if moved is None:
        typer.echo("the policies are too entangled to try every payment")
        return
    columns = ("payment", "before", "after")
    table(columns, ((payment(m["payment"]), way(m["before"]), way(m["after"])) for m in moved))


def draft(
    file: File,
    notes: Annotated[str, typer.Option(help="Why it was written.")] = "",
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Keep a policy as a version; exit 3 if it does not hold together. It counts when it is activated."""
    content = read_file(file)
    with findings_told(as_json):
        made, new = at_desk(merchant, live, lambda s, desk: flow.draft(s, desk, content, notes))
    if as_json:
        document(shown(made) | {"new": new})
    else:
        typer.echo(f"{made.id} is version {made.version}, {made.state}" + ("" if new else ": it was there before"))


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
    """Route by a version from now on, in every process within a second."""
    to = id_of(policy_id, "pol", "a policy")
    expected = None if expect in (None, "none") else id_of(expect, "pol", "a policy")

    async def work(s: Scrooge, desk: Desk) -> Version:
        before = expected
        if expect is None:
            before, _ = await policies.active(s.db, desk, (await flow.read(s, desk, to)).caller_id)
        return await flow.activate(s, desk, to, before, reason)

    with findings_told(as_json):
        told(at_desk(merchant, live, work), as_json)


def rollback(
    to: Annotated[str, typer.Argument(metavar="POLICY_ID|none", help="One that was active before; or none at all.")],
    reason: Annotated[str, typer.Option(help="For those who read the history.")],
    caller: Annotated[str | None, typer.Option(help="With none: for this caller's payments only.")] = None,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Go back to a version that was active before, whatever is active now."""
    if not reason.strip():
        raise SettingsError("--reason: say why")
    target = None if to == "none" else id_of(to, "pol", "a policy")
    with findings_told(as_json):
        told(at_desk(merchant, live, lambda s, desk: flow.roll_back(s, desk, target, caller, reason)), as_json)


def list_(merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show every version, newest first, and which is active."""
    found = at_desk(merchant, live, lambda s, desk: policies.policies(s.db, desk, limit=SHOWN))
    if as_json:
        document({"policies": [shown(p) for p in found]})
        return
    table(
        ("id", "version", "name", "caller", "state", "created_at", "activated_at", "author", "notes"),
        (
            (p.id, str(p.version), p.name, p.caller or "", p.state, instant(p.created_at),
             instant(p.activated_at) if p.activated_at else "", p.author, p.notes)
            for p in found
        ),
        right=("version",),
    )  # fmt: skip


def show(policy_id: PolicyId, merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show a version: its document, in JSON."""
    one = id_of(policy_id, "pol", "a policy")
    found = at_desk(merchant, live, lambda s, desk: flow.read(s, desk, one))
    if as_json:
        document(shown(found))
    else:
        say(f"{found.id}, version {found.version} by {found.author}: {found.state}")
        document(found.document)


def told(version: Version | None, as_json: bool) -> None:
    if as_json:
        document({"active": None if version is None else shown(version)})
    elif version is None:
        typer.echo("no policy is active")
    else:
        typer.echo(f"{version.id} (version {version.version}, {version.name}) is active")


def shown(p: Version) -> dict[str, Any]:
    moments = {"created_at": instant(p.created_at), "activated_at": instant(p.activated_at) if p.activated_at else None}
    return {**msgspec.structs.asdict(p), **moments}


def short(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def way(told: tuple[str, tuple[str, ...]]) -> str:
    return f"{told[0]}: {', '.join(told[1]) or 'nobody'}"
