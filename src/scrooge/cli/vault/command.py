"""`scrooge vault`: the card vault as a process of its own, and what an operator does with it."""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from scrooge import logs
from scrooge.cli import lifeline
from scrooge.cli.keys import name_of
from scrooge.cli.operator import operator_name
from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.cli.place import url_of
from scrooge.cli.processes import adopt, ended_well, require_free, started
from scrooge.cli.vault.anchors import anchors_in
from scrooge.cli.vault.place import on_database, place, require_schema
from scrooge.errors import SettingsError
from scrooge.postgres.database import Database
from scrooge.vault.schema import migrate_vault
from scrooge.vault.settings import VaultSettings, load

app = typer.Typer(help="The card vault: a process, a database and keys of its own.")
callers = typer.Typer(no_args_is_help=True, help="Vault keys: who may tokenize, and for which merchant.")
templates = typer.Typer(no_args_is_help=True, help="Which requests cards may go into: looked at, signed.")
audit = typer.Typer(no_args_is_help=True, help="The vault's audit.")
app.add_typer(callers, name="callers")
app.add_typer(templates, name="templates")
DRAIN_SECONDS = 25
QUIET = {"access_log": False, "log_config": None, "server_header": False, "proxy_headers": False, "ws": "none"}
ASGI = {"factory": True, "loop": "uvloop", "timeout_keep_alive": 75, "timeout_graceful_shutdown": DRAIN_SECONDS}


@app.callback(invoke_without_command=True)
def vault(context: typer.Context, as_json: Json = False) -> None:
    """Run the card vault. Its settings are SCROOGE_VAULT_ variables."""
    if context.invoked_subcommand is not None:
        return
    lifeline.hold()
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    with place(settings) as settings:
        require_schema(settings)
        require_free(settings.host, settings.port, "SCROOGE_VAULT_PORT")
        embedded_now = "1" if settings.embedded else None
        adopt({"SCROOGE_VAULT_DATABASE_URL": settings.database_url, "SCROOGE_VAULT_EMBEDDED": embedded_now})
        started({"vault_url": settings.base(), "pid": os.getpid()}, as_json)
        ended_well(lambda: run_vault(settings))


def run_vault(settings: VaultSettings) -> None:
    """Blocks until SIGTERM or SIGINT; requests that were accepted are finished first."""
    from scrooge.listening import counted_together, listen, listeners
    from scrooge.vault.app import serving
    from scrooge.vault.hardening import harden
    from scrooge.vault.processes import Common

    harden()

    options: dict[str, Any] = {**QUIET, **ASGI}
    if settings.tls_certificate is not None:
        options |= {"ssl_certfile": str(settings.tls_certificate), "ssl_keyfile": str(settings.tls_key)}
    sockets = listeners(settings.host, settings.port)
    common = Common(settings.code_minutes)
    with counted_together(settings.processes):
        listen(partial(serving, common), sockets, settings.processes, common.codes.turn, **options)


@app.command()
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing; exit 3 if anything is.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the vault's schema up to date."""
    with place(load(), migrated=False) as settings:
        done = asyncio.run(migrate_vault(url_of(settings), check=check))
    if as_json:
        document(done)
    else:
        say(
            f"applied {', '.join(done.applied) or 'nothing'}"
            + (f"; behind: {', '.join(done.behind)}" * bool(done.behind))
        )
    if done.behind:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def pair(as_json: Json = False) -> None:
    """Make the keys with which the core and the vault know each other: settings for each side."""
    from scrooge.service import identity, new_seed

    core, own = new_seed(), new_seed()
    made = {
        "core": {
            "SCROOGE_SERVICE_KEY": core,
            "SCROOGE_VAULT_PUBLIC_KEY": identity(own, "SCROOGE_VAULT_SERVICE_KEY").public,
        },
        "vault": {
            "SCROOGE_VAULT_SERVICE_KEY": own,
            "SCROOGE_VAULT_CORE_KEYS": identity(core, "SCROOGE_SERVICE_KEY").public,
        },
    }
    if as_json:
        document(made)
        return
    for side, settings in made.items():
        typer.echo(f"# for the {side}")
        for name, value in settings.items():
            typer.echo(f"{name}={value}")


# --- callers --------------------------------------------------------------------------------


@callers.command()
def create(
    merchant: Annotated[str, typer.Option(help="The merchant's id in the core, mer_...")],
    caller: Annotated[str, typer.Option(help="Who will use it, like checkout.")],
    scopes: Annotated[str, typer.Option(help="Separated by commas: tokenize, sessions, read, delete.")],
    live: Annotated[bool, typer.Option("--live", help="For real cards; published test numbers otherwise.")] = False,
    as_json: Json = False,
) -> None:
    """Make a vault key. It is shown now and never again."""
    from scrooge.vault.vault import create_vault_key

    name_of("--caller", caller)
    asked = [scope.strip() for scope in scopes.split(",") if scope.strip()]

    async def make(db: Database) -> tuple[str, str]:
        return await create_vault_key(db, merchant, caller, asked, live, operator_name())

    with place(load()) as settings:
        if live and settings.embedded:
            raise SettingsError("live keys need a database of your own: set SCROOGE_VAULT_DATABASE_URL")
        if live and settings.kek_uri().startswith("file:"):
            raise SettingsError("live cards need a key-encryption key in a KMS or in shares: set SCROOGE_VAULT_KEK")
        key_id, secret = on_database(settings, make)
    if as_json:
        document({"id": key_id, "key": secret, "merchant": merchant, "caller": caller, "scopes": asked, "live": live})
    else:
        say(f"{key_id} for {caller}; it is not shown again:")
        typer.echo(secret)


@callers.command("list")
def list_callers(as_json: Json = False) -> None:
    """Show the vault keys, without the keys."""
    from scrooge.vault.vault import vault_keys

    with place(load()) as settings:
        found = on_database(settings, vault_keys)
    if as_json:
        document(found)
        return
    names = ("id", "merchant_id", "caller", "hint", "scopes", "livemode", "revoked_at")
    table(names, ([str(row[name] or "") for name in names] for row in found))


@callers.command()
def revoke(key: Annotated[str, typer.Argument(help="Its id, key_...")]) -> None:
    """End a vault key, within a second everywhere."""
    from scrooge.vault.vault import revoke_vault_key

    async def end(db: Database) -> bool:
        return await revoke_vault_key(db, key, operator_name())

    with place(load()) as settings:
        ended = on_database(settings, end)
    say("revoked" if ended else "there is no such key, or it was revoked before")
    if not ended:
        raise typer.Exit(FOUND_PROBLEMS)


# --- templates ------------------------------------------------------------------------------


@templates.command("show")
def show_templates(as_json: Json = False) -> None:
    """Show every request that a card may go into, where, and to which hosts."""
    from scrooge.connectors.registry import connectors
    from scrooge.vault.templates import digests

    installed = connectors()
    found = [
        {
            "name": f"{c.name}.{name}", "digest": digests(installed)[f"{c.name}.{name}"],
            "hosts": [c.test_url, c.live_url], **msgspec.to_builtins(template),
        }
        for c in installed.values()
        for name, template in c.cards.items()
    ]  # fmt: skip
    if as_json:
        document(found)
        return
    names = ("name", "method", "path", "number", "security_code", "digest")
    table(names, ([str(row[name]) for name in names] for row in found))


@templates.command()
def sign(
    output: Annotated[Path, typer.Option("-o", help="Where to write the signed list.")],
) -> None:
    """Sign the templates of the installed connectors with SCROOGE_VAULT_TEMPLATES_SIGNING_KEY."""
    from scrooge.connectors.registry import connectors
    from scrooge.service import identity
    from scrooge.vault.templates import signed

    name = "SCROOGE_VAULT_TEMPLATES_SIGNING_KEY"
    own = identity(os.environ.get(name, ""), name)
    output.write_bytes(msgspec.json.format(msgspec.json.encode(signed(connectors(), own.key)), indent=2) + b"\n")
    say(f"signed; SCROOGE_VAULT_TEMPLATES={output} and SCROOGE_VAULT_TEMPLATES_KEY={own.public}")


# --- audit ----------------------------------------------------------------------------------


@audit.command()
def verify(
    anchors: Annotated[Path | None, typer.Option(help="Heads that an earlier --json printed: still there?")] = None,
    as_json: Json = False,
) -> None:
    """Read the vault's whole audit: is every chain of records unbroken? Exit 3 if not."""
    from scrooge.vault.audit import Verified
    from scrooge.vault.audit import verify as verified

    before = anchors_in(anchors)

    async def look(db: Database) -> Verified:
        return await verified(db, before)

    with place(load(), existing=True) as settings:
        found = on_database(settings, look)
    if as_json:
        document({"ok": not found.broken, **msgspec.to_builtins(found)})
    else:
        for b in found.broken:
            say(f"{b.stream} {b.seq}: {b.why}")
        say(f"{found.records} records; " + ("the audit is broken" if found.broken else "every chain is whole"))
    if found.broken:
        raise typer.Exit(FOUND_PROBLEMS)
