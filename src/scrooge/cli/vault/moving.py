"""`scrooge vault export`, `import`, `pack`, `unpack`: cards leave for, and come from, another vault or PSP."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from scrooge.cli.operator import operator_name
from scrooge.cli.output import Json, document, say, table
from scrooge.cli.vault.cards import Merchant, merchant_id
from scrooge.cli.vault.place import on_database, place
from scrooge.errors import MalformedId, MoveRefused, SettingsError
from scrooge.ids import number_of
from scrooge.vault.settings import load

export = typer.Typer(help="Cards leave, encrypted: looked at, asked for, approved by another operator, written.")
Live = Annotated[bool, typer.Option("--live", help="Real cards; test cards otherwise.")]
Customer = Annotated[str | None, typer.Option(help="Only this customer's cards.")]
To = Annotated[str, typer.Option("--to", help="The recipient: age1... or an SSH public key.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look and report only; a real run needs one before it.")]
IdentityFile = Annotated[
    Path, typer.Option("--identity", help="The recipient's own key: an age identity file or an SSH private key.")
]
Work = Callable[[Any, Any], Awaitable[Any]]


def moving(live: bool, merchant: str, work: Work) -> Any:
    """With the vault's database and keys. `work` gets both (work.Work), and who moves which cards."""
    from scrooge.cli.vault.work import with_keys
    from scrooge.vault.hardening import harden
    from scrooge.vault.moving.transfers import Mover

    harden()
    mover = Mover(operator_name(), merchant_id(merchant), live)

    async def checked(w: Any) -> Any:
        if live and w.settings.embedded:
            raise SettingsError("live cards need a database of your own: set SCROOGE_VAULT_DATABASE_URL")
        return await work(w, mover)

    return with_keys(checked)


def told(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        document(report)
        return
    for name, value in report.items():
        match value:
            case dict():
                say(f"{name}: " + (", ".join(f"{count} {reason}" for reason, count in value.items()) or "none"))
            case list():
                for row in value:
                    say(f"  line {row['line']}: {row['reason']}")
            case _:
                say(f"{name}: {value}")


# --- export ---------------------------------------------------------------------------------


@export.callback(invoke_without_command=True)
def export_cards(
    context: typer.Context,
    merchant: Annotated[str, typer.Option(help="The merchant's id in the core, mer_...")] = "",
    to: To = "",
    output: Annotated[Path | None, typer.Option("-o", help="Where to write the file.")] = None,
    live: Live = False,
    customer: Customer = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write a merchant's cards into a file that only the recipient can open. --dry-run first, then `request`, then
    `approve` by another operator; within a day, and once. Cut off, it goes on when it is run again."""
    if context.invoked_subcommand is not None:
        return
    if not merchant or not to or (output is None) is not dry_run:
        raise typer.BadParameter("it takes --merchant, --to, and either -o or --dry-run")
    from scrooge.service import identity
    from scrooge.vault.moving.exporting import Exporting, Wanted
    from scrooge.vault.moving.parcel import recipient_name, recipient_text

    recipient = recipient_text(to)

    async def work(w: Any, mover: Any) -> dict[str, Any]:
        exporting = Exporting(w.db, w.keyring, Wanted(mover, customer, recipient))
        if output is None:
            transfer, tally, digest = await exporting.look()
        else:
            own = identity(w.settings.service_key or "", "SCROOGE_VAULT_SERVICE_KEY")
            transfer, tally, digest = await exporting.export_all(output, own)
        about = {"recipient": recipient_name(recipient), "selection" if dry_run else "file_digest": digest.hex()}
        return {"transfer": transfer, "dry_run": dry_run, **about, **tally.report()}

    told(moving(live, merchant, work), as_json)


@export.command("request")
def ask(merchant: Merchant, to: To, live: Live = False, customer: Customer = None, as_json: Json = False) -> None:
    """Ask that what a dry run looked at be exported. Another operator approves it."""
    from scrooge.vault.moving.parcel import recipient_name, recipient_text
    from scrooge.vault.moving.transfers import Mover, request

    recipient = recipient_text(to)
    mover = Mover(operator_name(), merchant_id(merchant), live)
    with place(load(), existing=True) as settings:
        transfer = on_database(settings, lambda db: request(db, mover, customer, recipient))
    told({"transfer": transfer, "state": "requested", "recipient": recipient_name(recipient)}, as_json)


@export.command()
def approve(transfer: Annotated[str, typer.Argument(help="Its id, trf_...")], as_json: Json = False) -> None:
    """Approve an export that another operator asked for. It holds for a day, this recipient and these cards."""
    from scrooge.vault.moving import transfers as moves

    try:
        number_of(transfer, "trf")
    except MalformedId:
        raise SettingsError("expected the transfer's id, trf_...") from None
    operator = operator_name()
    with place(load(), existing=True) as settings:
        found = on_database(settings, lambda db: moves.approve(db, transfer, operator))
    told({name: value for name, value in found.items() if name != "report" or as_json}, as_json)


def transfers(as_json: Json = False) -> None:
    """Show the imports and exports of cards: looked at, asked for, approved, done."""
    from scrooge.vault.moving.transfers import listed

    with place(load(), existing=True) as settings:
        found = on_database(settings, listed)
    if as_json:
        document(found)
        return
    names = ("id", "kind", "state", "merchant", "livemode", "looked_at_by", "requested_by", "approved_by", "looked_at")
    table(names, ([str(row[name] or "") for name in names] for row in found))


# --- import ---------------------------------------------------------------------------------


def import_cards(
    file: Annotated[Path, typer.Argument(help="What `scrooge vault export` or `pack` wrote.")],
    merchant: Merchant,
    identity: IdentityFile,
    live: Live = False,
    sender: Annotated[str | None, typer.Option("--from", help="The sending vault's public key; checked.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Where to write which card became which instrument.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep the cards of a file as a merchant's instruments, each once. Cut off, it goes on when it is run again."""
    from scrooge.vault.moving.importing import Importing, write_mapping
    from scrooge.vault.moving.parcel import Parcel, identities_of
    from scrooge.vault.moving.transfers import note

    identities = identities_of(identity)
    list_path = mapping or file.with_name(f"{file.name}.instruments.csv")

    async def work(w: Any, mover: Any) -> dict[str, Any]:
        try:
            parcel = Parcel(file, identities)
            if sender is not None and parcel.header.vault != sender:
                raise MoveRefused("the file is not signed by the vault that --from names")
            importing = Importing(w.db, w.keyring, parcel, mover)
            transfer, tally = await (importing.look() if dry_run else importing.import_all())
        except MoveRefused as problem:
            await note(w.db, mover.act("import", mover.merchant, problem.code, why=problem.detail))
            raise
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
        about = {"file_digest": parcel.digest.hex(), "signed_by": parcel.header.vault}
        if not dry_run:
            about |= {"mapping": str(list_path), "mapped": await write_mapping(w.db, transfer, list_path)}
        return {"transfer": transfer, "dry_run": dry_run, **about, **tally.report()}

    told(moving(live, merchant, work), as_json)


# --- to and from the files of others --------------------------------------------------------


def pack(
    to: To,
    output: Annotated[Path, typer.Option("-o", help="Where to write the file.")],
    shape: Annotated[str, typer.Option(help="What comes on stdin: scrooge, stripe or adyen.")],
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Encrypt the cards that another program writes to us, for `import`: `gpg -d FILE | scrooge vault pack ...`."""
    from scrooge.vault.hardening import harden
    from scrooge.vault.moving.edge import packed

    harden()
    told(packed(to, output, shape, live), as_json)


def unpack(
    file: Annotated[Path, typer.Argument(help="What `scrooge vault export` wrote.")],
    identity: IdentityFile,
    shape: Annotated[str, typer.Option(help="What to write to stdout: scrooge, stripe or adyen.")],
    account: Annotated[str | None, typer.Option(help="Your account at the PSP, where its files name it.")] = None,
) -> None:
    """Write a file's cards to another program, as a PSP takes them: `scrooge vault unpack ... | gpg -e -r PSP`. Never
    to a file or a terminal."""
    from scrooge.vault.hardening import harden
    from scrooge.vault.moving.edge import unpacked

    harden()
    say(f"{unpacked(file, identity, shape, account)} cards")
