"""`keys create`, `keys list`, `keys revoke`: who may use the API, and for what."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from scrooge.cli.output import Json, document, say, table
from scrooge.cli.place import place, require_schema, url_of
from scrooge.errors import MalformedId, NotFound, SettingsError
from scrooge.ids import number_of
from scrooge.postgres.database import Database, connect
from scrooge.settings import Settings, load
from scrooge.storage import access

app = typer.Typer(no_args_is_help=True, help="API keys: made once, shown once, revoked at any time.")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # as the database has it


def name_of(option: str, text: str) -> str:
    if not NAME.fullmatch(text):
        raise typer.BadParameter("takes 1 to 64 of a-z, 0-9, _ and -", param_hint=option)
    return text


@app.command()
def create(
    caller: Annotated[str, typer.Option(help="Who will use it, like checkout.")],
    scopes: Annotated[str, typer.Option(help=f"Separated by commas: {', '.join(sorted(access.SCOPES))}.")],
    merchant: Annotated[str, typer.Option(help="The legal entity the caller sells for.")] = "default",
    live: Annotated[bool, typer.Option("--live", help="For real money; test mode otherwise.")] = False,
    as_json: Json = False,
) -> None:
    """Make an API key. It is shown now and never again."""
    name_of("--caller", caller)
    name_of("--merchant", merchant)
    asked = [scope.strip() for scope in scopes.split(",") if scope.strip()]

    async def make(db: Database) -> tuple[str, str]:
        merchant_id = await access.create_merchant(db, merchant)
        caller_id = await access.create_caller(db, merchant_id, caller)
        return await access.create_key(db, caller_id, asked, live)

    with place(load()) as settings:
        if live and settings.embedded:
            raise SettingsError("live keys need a database of your own: set SCROOGE_DATABASE_URL")
        key_id, secret = run(settings, make)
    if as_json:
        document(
            {
                "id": key_id,
                "key": secret,
                "merchant": merchant,
                "caller": caller,
                "scopes": asked,
                "mode": "live" if live else "test",
            }
        )
    else:
        say(f"{key_id}: keep this key now, it is not shown again")
        typer.echo(secret)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the keys, without the keys themselves."""
    with place(load(), existing=True) as settings:
        found: list[dict[str, Any]] = run(settings, access.list_keys)
    if as_json:
        document({"keys": found})
        return
    table(
        ("id", "key", "merchant", "caller", "mode", "scopes", "state"),
        (
            (
                k["id"], k["hint"], k["merchant"], k["caller"], "live" if k["livemode"] else "test",
                ",".join(k["scopes"]), "revoked" if k["revoked_at"] else "active",
            )
            for k in found
        ),
    )  # fmt: skip


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID")], as_json: Json = False) -> None:
    """Revoke a key; it stops working everywhere within a second."""
    try:
        number_of(key_id, "key")
    except MalformedId:  # Not repeated in the answer: it may be the key itself.
        raise NotFound("that is not the id of a key: `scrooge keys list` shows them, key_ and 26 characters") from None
    with place(load(), existing=True) as settings:
        if not run(settings, lambda db: access.revoke_key(db, key_id)):
            raise NotFound(f"no key {key_id}")
    if as_json:
        document({"id": key_id, "revoked": True})
    else:
        typer.echo(f"{key_id} is revoked")


def run(settings: Settings, work: Callable[[Database], Awaitable[Any]]) -> Any:
    """One piece of work on the database of the settings."""
    require_schema(settings)

    async def opened() -> Any:
        db = await connect(url_of(settings), size=2)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(opened())
