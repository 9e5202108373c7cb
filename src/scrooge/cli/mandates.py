"""`mandates list`, `show`, `revoke`: what payers agreed to, for the operator who is asked about it."""

from typing import Annotated, Any

import msgspec
import typer

from scrooge.cli.output import Json, document, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk, id_of
from scrooge.domain.mandate import Mandate, Revoked, consent_of
from scrooge.errors import SettingsError
from scrooge.flows import mandates as flow
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import instant
from scrooge.storage import mandates
from scrooge.storage.directory import Principal
from scrooge.storage.policies import Desk

app = typer.Typer(no_args_is_help=True, help="What payers agreed to: payments without them.")
MandateId = Annotated[str, typer.Argument(metavar="MANDATE_ID", help="man_...")]
SHOWN = 1000


@app.command("list")
def list_(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="As the merchant calls the payer.")],
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show what a customer agreed to, newest first; not what waits for its first payment."""

    async def work(s: Scrooge, desk: Desk) -> list[Mandate]:
        return (await mandates.of_customer(s.db, desk.merchant, customer, desk.livemode, None, SHOWN))[0]

    found = [told(m) for m in at_desk(merchant, live, work)]
    if as_json:
        document({"mandates": found})
    else:
        names = ("id", "use", "status", "instrument", "consent_at", "payment")
        table(names, ([str(m[name]) for name in names] for m in found))


@app.command()
def show(mandate: MandateId, merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show one, and who ended it and why."""
    id_of(mandate, "man", "a mandate")
    one(at_desk(merchant, live, lambda s, desk: visible(s, desk, mandate)), as_json)


@app.command()
def revoke(
    mandate: MandateId,
    reason: Annotated[str, typer.Option(help="For those who wonder.")],
    by: Annotated[str, typer.Option(help="merchant, or customer where the payer asked for it.")] = "merchant",
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Pay nothing under it any more; twice is as good as once."""
    id_of(mandate, "man", "a mandate")
    if not reason.strip():
        raise SettingsError("--reason: say why")
    if by not in ("merchant", "customer"):
        raise SettingsError("--by: merchant or customer")

    async def work(s: Scrooge, desk: Desk) -> Mandate:
        return await flow.revoke(s, principal_of(desk), mandate, Revoked(reason, by))

    one(at_desk(merchant, live, work), as_json)


async def visible(s: Scrooge, desk: Desk, mandate: str) -> Mandate:
    return await flow.visible(s, principal_of(desk), mandate)


def principal_of(desk: Desk) -> Principal:
    return Principal("", desk.merchant, desk.merchant_name, "", "", frozenset(), desk.livemode)


def one(m: Mandate, as_json: bool) -> None:
    found = told(m)
    if as_json:
        document(found)
    else:
        table(("what", "is"), ((name, str(value)) for name, value in found.items() if value is not None))


def told(m: Mandate) -> dict[str, Any]:
    """Moments as text; `max_minor` in minor units."""
    shown = msgspec.to_builtins(m)
    shown |= {"consent_at": instant(m.consent_at), "payment": consent_of(m.id)}
    terms = {name: shown["terms"].get(name) for name in ("max_minor", "currency", "period", "description", "fallback")}
    revoked = None if m.revoked is None else {**shown["revoked"], "at": instant(m.revoked.at)}
    kept = ("id", "customer", "instrument", "use", "status", "version", "livemode", "consent_at", "payment")
    return {name: shown[name] for name in kept} | terms | {"revoked": revoked}
