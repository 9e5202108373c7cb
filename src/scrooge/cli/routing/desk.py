"""What the commands about policies share: the merchant's desk on the database of the settings, files, findings."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from scrooge.cli.operator import operator_name
from scrooge.cli.output import FOUND_PROBLEMS, document, say
from scrooge.cli.place import place, require_schema
from scrooge.errors import MalformedId, NotFound, PolicyRefused, RiskPolicyRefused, SettingsError, TariffsRefused
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import number_of
from scrooge.settings import load
from scrooge.storage.access import find_merchant
from scrooge.storage.policies import Desk

T = TypeVar("T")
Merchant = Annotated[str, typer.Option(help="Whose payments.")]
Live = Annotated[bool, typer.Option("--live", help="For real money; test mode otherwise.")]


def at_desk(merchant: str, live: bool, work: Callable[[Scrooge, Desk], Awaitable[T]]) -> T:
    """One piece of work as the operator. Raises NotFound for a merchant that is not there."""
    from scrooge.app import open_scrooge

    async def opened() -> T:
        async with open_scrooge(settings) as s:
            found = await find_merchant(s.db, merchant)
            if found is None:
                raise NotFound(f"there is no merchant {merchant!r}")
            return await work(s, Desk(found, merchant, live, f"operator:{operator_name()}"))

    with place(load(), existing=True) as settings:
        require_schema(settings)
        return asyncio.run(opened())


def read_file(path: Path) -> dict[str, Any]:
    """A document in TOML or, where its name ends with .json, in JSON. Raises SettingsError."""
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content) if path.suffix == ".json" else msgspec.toml.decode(content)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: a document is a table of names")
    return found


def id_of(text: str, prefix: str, what: str) -> str:
    """Raises SettingsError."""
    try:
        number_of(text, prefix)
    except MalformedId:
        raise SettingsError(f"expected the id of {what}, {prefix}_ and 26 characters") from None
    return text


@contextmanager
def findings_told(as_json: bool) -> Iterator[None]:
    """What does not hold together is told line by line, and ends in exit code 3."""
    try:
        yield
    except (PolicyRefused, RiskPolicyRefused, TariffsRefused) as problem:
        found = problem.members["findings"]
        if as_json:
            document({"findings": found})
        else:
            tell(found)
        raise typer.Exit(FOUND_PROBLEMS) from None


def tell(findings: list[dict[str, Any]]) -> None:
    for finding in findings:
        place = f"{finding['place']}: " if finding["place"] else ""
        say(f"! {place}{finding['problem']}")
        if finding.get("payment"):
            say(f"    for example {payment(finding['payment'])}")


def payment(shown: dict[str, Any]) -> str:
    """A payment in one line."""
    rest = ", ".join(f"{k} {v}" for k, v in shown.items() if k != "amount")
    return f"{shown['amount']['value']} {shown['amount']['currency']}" + (f", {rest}" if rest else "")
