"""`vault keys`: how the vault's keys are, and what is done to them. Each act is on the vault's record."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scrooge.cli.output import FOUND_PROBLEMS, Json, document, say, table
from scrooge.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="The vault's keys: states, rotation, re-encryption, destruction.")
SHARES = "shares:"


class ForWhat(StrEnum):
    """Purposes of keys, known without loading the libraries of the vault."""

    CARD = "card"
    FINGERPRINT = "fingerprint"
    REGISTRY = "registry"


@app.command()
def status(as_json: Json = False) -> None:
    """Show every key: state, age, time left, cards under it. Exit 3 where something must be done now."""
    from scrooge.cli.vault import work

    found = work.status()
    if as_json:
        document(found)
    else:
        rows = [
            (k.name, str(k.key_id), f"{k.state}{' (compromised)' * k.compromised}", f"{k.age_days} d",
             "" if k.days_left is None else f"{k.days_left} d", str(k.cards))
            for k in found.keys
        ]  # fmt: skip
        names = ("key", "id", "state", "age", "left", "cards")
        table(names, rows, right=("id", "age", "left", "cards"))
        if found.kek is not None:
            say(f"wrapped by {found.kek.uri}, {found.kek.age_days} days old, {found.kek.days_left} days left")
        for warning in (*found.wrong, *found.soon):
            say(f"! {warning}")
    if found.wrong:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def rotate(
    purpose: Annotated[list[ForWhat] | None, typer.Option(help="Only keys for this; repeat it for several.")] = None,
    emergency: Annotated[bool, typer.Option("--emergency", help="The old keys may be known to others.")] = False,
    as_json: Json = False,
) -> None:
    """Put new keys in use. Every process learns of them first, which takes some ten seconds; nothing stops."""
    from scrooge.cli.vault import work

    new = work.rotate([str(p) for p in purpose or ()], emergency)
    if as_json:
        document({"rotated": [{"key": v.name, "key_id": v.key_id, "not_after": v.not_after} for v in new]})
    else:
        for v in new:
            typer.echo(f"{v.name} is in use until {v.not_after:%Y-%m-%d}")
        say("next: scrooge vault keys reencrypt, then scrooge vault keys retire --all")


@app.command()
def reencrypt(as_json: Json = False) -> None:
    """Move every card to the keys in use. May be stopped, begun again, and run several times at once. A card that does
    not open stays as it is; exit 3."""
    from scrooge.cli.vault import work

    moved, unopened, seconds = work.reencrypt()
    if as_json:
        document({"moved": moved, "unopened": unopened, "seconds": round(seconds, 3)})
    else:
        left = f"{unopened} did not open" if unopened else "none is left"
        typer.echo(f"{moved} cards moved in {seconds:.1f} s ({moved / max(seconds, 0.001):,.0f} cards/s); {left}")
    if unopened:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def retire(
    key_ids: Annotated[list[int] | None, typer.Argument(metavar="[KEY_ID]...", help="As `keys status` shows.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every key that is not in use and that nothing needs.")] = False,
    as_json: Json = False,
) -> None:
    """Destroy keys that nothing needs any more. A key that a card needs is refused; exit 3."""
    from scrooge.cli.vault import work

    if bool(key_ids) is every:
        raise typer.BadParameter("takes ids of keys, or --all")
    done, refused = work.retire(key_ids or [])
    if as_json:
        document({"destroyed": [{"key": v.name, "key_id": v.key_id} for v in done], "refused": refused})
    else:
        for v in done:
            typer.echo(f"{v.name} ({v.key_id}) is destroyed")
        for sentence in refused:
            say(f"! {sentence}")
        if not done and not refused:
            say("there is nothing to retire")
    if refused:
        raise typer.Exit(FOUND_PROBLEMS)


@app.command()
def rewrap(
    to: Annotated[str, typer.Option(metavar="URI", help="file:PATH or gcp-kms://...; the one in use is renewed.")],
    as_json: Json = False,
) -> None:
    """Wrap every key by another key-encryption key. Cards stay as they are, and no process notices."""
    from scrooge.cli.vault import work

    if to == SHARES:
        raise typer.BadParameter("custodians get shares in a ceremony: scrooge vault keys ceremony", param_hint="--to")
    count = work.rewrap(to)
    if as_json:
        document({"uri": to, "keys": count})
    else:
        typer.echo(f"{count} keys are wrapped by {to}")
        say(f"set SCROOGE_VAULT_KEK={to}; backups made before now open with the old key-encryption key")


@app.command()
def ceremony(
    custodian: Annotated[list[str], typer.Option(help="NAME, or NAME=age1... to encrypt the share to that age key.")],
    threshold: Annotated[int, typer.Option(help="How many shares open the vault; at least 2.")],
    output: Annotated[Path | None, typer.Option("-o", help="Directory for the encrypted shares, NAME.age.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key-encryption key that is nowhere stored, and give each custodian a share of it.

    A new vault gets its first keys under it; the keys of another are wrapped by it anew.
    """
    from scrooge.cli.vault import shares, work

    pairs = [text.partition("=") for text in custodian]
    names, recipients = [name for name, _, _ in pairs], {name: key for name, _, key in pairs if key}
    if len(recipients) not in (0, len(names)) or bool(recipients) is not (output is not None):
        raise SettingsError("shares are shown to all custodians here, or encrypted to all of them: NAME=age1... and -o")
    if not recipients and not sys.stdin.isatty():
        raise SettingsError("custodians read their shares at a terminal, or give age keys: NAME=age1... and -o")
    held = shares.hold(names, threshold)
    if output is None:
        shares.show(held)
    else:
        shares.keep(held, recipients, output)
    work.take(held)  # The key comes into use after everybody has a share.
    if as_json:
        document({"custodians": names, "threshold": threshold, "kek": held.new.id})
    else:
        say(f"any {threshold} of {', '.join(names)} open the vault now; set SCROOGE_VAULT_KEK={SHARES}")


def unseal(
    custodian: Annotated[str, typer.Option(help="Whose share it is.")],
    url: Annotated[str | None, typer.Option(help="The running vault; by default the one of the settings.")] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="I accept the duties of a custodian; asked for once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring one share to a running vault that is sealed. It opens when enough custodians did."""
    from scrooge.cli.vault import shares

    progress = shares.bring(custodian, url, accept)
    if as_json:
        document(progress)
    elif progress["sealed"]:
        typer.echo(f"{progress['entered']} of {progress['needed']} shares")
    else:
        typer.echo("the vault is open")
