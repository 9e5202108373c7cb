"""`stored-value balance`, `statement`, `load`, `adjust`, `codes`: through the API, with a caller's key."""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from scrooge.cli.batch.client import client
from scrooge.cli.output import Json, document, say, table
from scrooge.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Stored value. Needs SCROOGE_API_KEY, and SCROOGE_API_URL if not here.")
AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT_ID", help="sva_...")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="With its currency, like 20.00EUR.")]
Reference = Annotated[str, typer.Option(help="Yours, and unique: the same one is never done twice.")]
ACCOUNTS = "/v1/stored-value-accounts"


def asked(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Raises ApiRefused. A repeated reference is refused, so nothing is done twice."""

    async def go() -> dict[str, Any]:
        async with client() as api:
            more = {} if body is None else {"json": body, "headers": {"Idempotency-Key": secrets.token_hex(16)}}
            return await api.ask(method, path, **more)

    return asyncio.run(go())


def money(text: str) -> dict[str, str]:
    """Raises SettingsError."""
    value, currency = text[:-3].strip(), text[-3:].upper()
    if not value or not currency.isalpha():
        raise SettingsError("AMOUNT: like 20.00EUR")
    return {"value": value, "currency": currency}


def told(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        document(found)
    else:
        table(("what", "is"), ((name, shown(value)) for name, value in found.items() if value not in (None, [])))


def shown(value: Any) -> str:
    return f"{value['value']} {value['currency']}" if isinstance(value, dict) else str(value)


@app.command()
def balance(account: AccountId, as_json: Json = False) -> None:
    """Show what is available and what is held."""
    told(asked("GET", f"{ACCOUNTS}/{account}"), as_json)


@app.command()
def statement(
    account: AccountId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The newest so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what moved, newest first."""
    found = asked("GET", f"{ACCOUNTS}/{account}/statement?limit={limit}")
    if as_json:
        document(found)
        return
    names = ("number", "created_at", "kind", "amount", "available", "held", "reference", "payment")
    table(names, ([shown(line[name] or "") for name in names] for line in found["data"]))


@app.command()
def load(account: AccountId, amount: Amount, reference: Reference, as_json: Json = False) -> None:
    """Load value that an order of yours paid for."""
    told(asked("POST", f"{ACCOUNTS}/{account}/loads", {"amount": money(amount), "reference": reference}), as_json)


@app.command()
def adjust(
    account: AccountId,
    amount: Amount,
    reference: Reference,
    reason: Annotated[str, typer.Option(help="For the statement and the audit.")],
    down: Annotated[bool, typer.Option("--down", help="Take it back instead of giving it.")] = False,
    as_json: Json = False,
) -> None:
    """Give value for no order; a large adjustment waits until `approve` is said with another key."""
    body = {"amount": money(amount), "direction": "down" if down else "up", "reference": reference, "reason": reason}
    told(asked("POST", f"{ACCOUNTS}/{account}/adjustments", body), as_json)


@app.command()
def approve(
    adjustment: Annotated[str, typer.Argument(metavar="ADJUSTMENT_ID", help="adj_...")], as_json: Json = False
) -> None:
    """Apply an adjustment that another key proposed."""
    told(asked("POST", f"/v1/stored-value-adjustments/{adjustment}/approve", {}), as_json)


@app.command()
def codes(
    amount: Amount,
    reference: Reference,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where they are written, readable by you alone.")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 1,
    as_json: Json = False,
) -> None:
    """Make codes that load stored value. They are written once and can never be told again."""
    body = {"amount": money(amount), "count": count, "reference": reference}
    try:
        output.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise SettingsError(f"--output {output}: {error.strerror}") from None
    try:
        made = asked("POST", "/v1/stored-value-codes", body)
    except BaseException:
        output.unlink()
        raise
    output.write_text("".join(f"{code}\n" for code in made["codes"]))
    say(f"{len(made['codes'])} codes are in {output}")
    told({**made, "codes": []}, as_json)
