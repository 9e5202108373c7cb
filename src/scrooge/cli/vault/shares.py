"""How shares reach custodians, and how custodians bring them to a vault that waits for them."""

import asyncio
import getpass
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pyrage
import typer

from scrooge.cli.output import say
from scrooge.errors import Problem, SettingsError
from scrooge.vault.keys.custodians import DUTIES, Ceremony, ceremony
from scrooge.vault.settings import load

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SECONDS = 30
WIPED = "\x1b[H\x1b[2J\x1b[3J"  # the screen and what was scrolled off it
hold = ceremony
age: Any = pyrage  # compiled, and without types


class VaultRefused(Problem):
    """The vault did not take the share."""


def show(held: Ceremony) -> None:
    """Each share to its custodian alone."""
    for name, text in held.texts:
        typer.prompt(f"{name}, alone at the screen: Enter", default="", show_default=False, err=True)
        typer.echo(f"\n{DUTIES}\n\n{text}\n", err=True)
        typer.prompt("when it is written down: Enter", default="", show_default=False, err=True)
        typer.echo(WIPED, err=True, nl=False)


def keep(held: Ceremony, recipients: dict[str, str], output: Path) -> None:
    """Nobody but the custodian reads the file, not even who ran the ceremony. Raises SettingsError."""
    output.mkdir(parents=True, exist_ok=True)
    keys = {name: recipient_of(name, recipients[name]) for name, _ in held.texts}
    for name, text in held.texts:
        path = output / f"{name}.age"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(age.encrypt(f"{text}\n".encode(), [keys[name]]))
        say(f"{path}: for {name} alone, who opens it with `age --decrypt`")


def recipient_of(name: str, text: str) -> Any:
    try:
        return age.x25519.Recipient.from_str(text)
    except age.RecipientError:
        raise SettingsError(f"the key of {name} is not an age recipient (age1...)") from None


def bring(custodian: str, url: str | None, accept: bool) -> dict[str, Any]:
    """One share to a running vault: how far it is. Raises SettingsError, VaultRefused."""
    where = (url or load().base()).rstrip("/")
    parts = urlsplit(where)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise SettingsError("a share travels over https, or to this machine")
    if accept:
        say(DUTIES)
    text = getpass.getpass("share (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
    body = {"custodian": custodian, "share": text.strip(), "accepts": accept}
    return asyncio.run(sent(f"{where}/v1/unseal", body))


async def sent(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Raises VaultRefused."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http,
            http.post(url, json=body, allow_redirects=False) as answer,
        ):
            found = msgspec.json.decode(await answer.read())
            if answer.status != 200:
                raise VaultRefused(str(found.get("detail", answer.status)))
            return found
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
        raise VaultRefused(f"the vault at {url} does not answer: {type(error).__name__}") from None
