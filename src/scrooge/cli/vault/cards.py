"""`scrooge vault status`, `forget` and `snippet`: what is in the vault, a customer forgotten, a line for a shop."""

from typing import Annotated

import typer

from scrooge.cli.operator import operator_name
from scrooge.cli.output import Json, document, say, table
from scrooge.cli.vault.place import on_database, place
from scrooge.errors import MalformedId, SettingsError
from scrooge.ids import number_of
from scrooge.postgres.database import Database
from scrooge.vault.settings import load

Merchant = Annotated[str, typer.Option(help="The merchant's id in the core, mer_...")]


def merchant_id(text: str) -> str:
    """Raises SettingsError."""
    try:
        number_of(text, "mer")
    except MalformedId:
        raise SettingsError("--merchant takes the merchant's id in the core, mer_...") from None
    return text


def status(as_json: Json = False) -> None:
    """Say what the vault holds: cards by mode, status and brand, security codes, audit, keys."""
    from scrooge.vault.status import look

    with place(load(), existing=True) as settings:
        found = on_database(settings, look)
    if as_json:
        document(found)
        return
    names = ("mode", "status", "brand", "cards", "oldest", "last used")
    rows = (
        ("live" if c.livemode else "test", c.status, c.brand, str(c.cards), f"{c.oldest:%Y-%m-%d}",
         f"{c.used:%Y-%m-%d}" if c.used else "never")
        for c in found.cards
    )  # fmt: skip
    table(names, rows, right=("cards",))
    say(
        f"{found.codes_waiting} security codes waiting, {found.codes_run_out} that have run out; "
        f"audit: {found.audit_records} records, {found.audit_bytes >> 20} MiB; "
        f"{found.idempotency_keys} idempotency keys, {found.service_tokens} service tokens, "
        f"{found.vault_keys} vault keys"
    )


def forget(
    merchant: Merchant,
    customer: Annotated[str, typer.Option(help="As the merchant calls them.")],
    as_json: Json = False,
) -> None:
    """Delete every card of a customer, in both modes; the core ends what it has of them when it hears of it."""
    from scrooge.vault import retention

    async def end(db: Database) -> int:
        return await retention.forget(db, merchant_id(merchant), customer, operator_name())

    with place(load(), existing=True) as settings:
        ended = on_database(settings, end)
    if as_json:
        document({"merchant": merchant, "cards": ended})
    else:
        say(f"{ended} cards deleted" if ended else "no cards of this customer")


def snippet(as_json: Json = False) -> None:
    """Print the line that a shop's checkout page loads the card form's script with, pinned by its hash."""
    from scrooge.vault.form import page

    line = page.snippet(load().base())
    if as_json:
        document({"snippet": line, "integrity": page.PIECES["scrooge.js"][0].integrity})
    else:
        typer.echo(line)
