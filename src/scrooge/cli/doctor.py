"""`doctor`: what is wrong with this installation, and the command that fixes it."""

import asyncio
import difflib
import errno
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from scrooge.cli import lifeline
from scrooge.cli.output import FOUND_PROBLEMS, Json, document, table
from scrooge.cli.place import has_database, named, usable
from scrooge.errors import Problem, SettingsError
from scrooge.postgres import embedded
from scrooge.postgres.migrate import MigrationError, SchemaIsNewer
from scrooge.settings import Settings, load, variable
from scrooge.storage import condition
from scrooge.storage.migrate import migrate
from scrooge.storage.sealing import sealer_of
from scrooge.vault.settings import load as load_vault

OLDEST_POSTGRESQL = 150_000
CLOCK_SKEW_SECONDS = 2.0
SETTINGS = tuple(variable(name) for name in Settings.__struct_fields__)
# Ours, for other uses.
NO_SETTINGS = (lifeline.VARIABLE, "SCROOGE_CRASH_POINT", "SCROOGE_TEST_DATABASE_URL", "SCROOGE_API_URL",
               "SCROOGE_API_KEY")  # fmt: skip
OF_OTHERS = ("SCROOGE_VAULT_", "SCROOGE_API_", "SCROOGE_SECRET_")  # programs beside this one


class Finding(Struct, frozen=True):
    """One thing looked at; `fix` is a command or a setting, empty when there is nothing to do."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


def doctor(
    pci: Annotated[bool, typer.Option("--pci", help="Look at what PCI DSS asks instead: docs/pci.md.")] = False,
    logs: Annotated[
        list[Path] | None, typer.Option("--logs", help="With --pci: a file or folder to search for card numbers.")
    ] = None,
    anchors: Annotated[
        Path | None, typer.Option(help="With --pci: heads of the audit that `audit verify --json` printed before.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with this installation and what fixes it; exit 3 if anything is."""
    if pci:
        examine_cards(logs or [], anchors, as_json)
        return
    findings = list(examined())
    healthy = all(f.ok for f in findings)
    if as_json:
        document({"ok": healthy, "findings": findings})
    else:
        table(("", "check", "found", "fix"), ((mark(f.ok, f.fix), f.check, f.detail, f.fix) for f in findings))
    if not healthy:
        raise typer.Exit(FOUND_PROBLEMS)


def examine_cards(logs: list[Path], anchors: Path | None, as_json: bool) -> None:
    from scrooge.cli.pci import checked
    from scrooge.cli.vault.anchors import anchors_in

    checks = list(checked(logs, anchors_in(anchors)))
    healthy = all(c.ok for c in checks)
    if as_json:
        document({"ok": healthy, "checks": checks})
    else:
        columns = ("", "requirement", "check", "looked at", "found", "fix")
        rows = sorted(checks, key=lambda c: [int(n) for n in c.requirement.split(".")])
        table(columns, ((mark(c.ok, c.fix), c.requirement, c.check, c.looked_at, c.found, c.fix) for c in rows))
    if not healthy:
        raise typer.Exit(FOUND_PROBLEMS)


def mark(ok: bool, fix: str) -> str:
    if not ok:
        return "!!"
    return "!" if fix else "ok"


def examined() -> Iterator[Finding]:
    """In order: what later checks need comes first, and where it is missing they are left out."""
    yield Finding("python", True, ".".join(map(str, sys.version_info[:3])))
    try:
        settings = load()
    except SettingsError as error:
        yield Finding("settings", False, str(error), "correct that variable; docs/settings.md lists them all")
        return
    yield unknown(os.environ) or Finding("settings", True, "usable")
    yield ports(settings)
    yield sealing(settings)
    if settings.database_url is not None:
        yield from database(settings.database_url, alone=False)
    else:
        yield from embedded_database(settings)
    yield from vault_keys()


def vault_keys() -> Iterator[Finding]:
    """Of the vault whose settings or data are here; a core that has its vault elsewhere sees nothing of it."""
    try:
        settings = load_vault()
        if settings.database_url is None and not has_database(settings.data_dir.expanduser()):
            return
        from scrooge.cli.vault import work

        found = work.status(migrated=False)
    except ModuleNotFoundError as error:
        yield Finding("vault keys", False, f"{error.name} is not installed", "pip install 'scrooge[vault]'")
        return
    except (Problem, SettingsError, MigrationError, embedded.EmbeddedError) as error:
        yield Finding("vault keys", False, str(error), "docs/vault.md, Keys")
        return
    if not found.keys:
        yield Finding("vault keys", True, "none yet", "scrooge vault makes them, or scrooge vault keys ceremony")
        return
    todo = [*found.wrong, *found.soon]
    checked = "each row checked" if found.verified else "to be checked by custodians' shares"
    detail = todo[0] if todo else f"{len(found.keys)} in the registry, {checked}"
    yield Finding("vault keys", not found.wrong, detail, "scrooge vault keys status" if todo else "")


def unknown(environment: Mapping[str, str]) -> Finding | None:
    """Nobody reads a variable with a typo, so its default holds where something else was meant."""
    names = [n for n in sorted(environment) if n.startswith("SCROOGE_") and not n.startswith(OF_OTHERS)]
    odd = [n for n in names if n not in SETTINGS and n not in NO_SETTINGS]
    if not odd:
        return None
    near = [f"{n}: {match}?" for n in odd for match in difflib.get_close_matches(n, SETTINGS, 1, 0.8)]
    fix = "; ".join((*near, "unset what is no setting; docs/settings.md lists them all"))
    return Finding("settings", False, f"not settings, so they do nothing: {', '.join(odd)}", fix)


def ports(settings: Settings) -> Finding:
    """Free, or in use by a Scrooge that answers."""
    where = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.settimeout(2)
        if probe.connect_ex((settings.host, settings.port)):
            return Finding("port", True, f"{where} is free for `scrooge serve`")
        try:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            ours = b" 200 " in probe.recv(64)
        except OSError:
            ours = False
    fix = "" if ours else "set SCROOGE_PORT to a free port"
    return Finding("port", ours, f"{where} is {'serving' if ours else 'taken by another program'}", fix)


def sealing(settings: Settings) -> Finding:
    """A key beside the data protects nothing from who copies both."""
    if settings.credentials_key is not None:
        try:
            sealer_of(settings)
        except SettingsError as error:
            return Finding("credentials key", False, str(error), "set SCROOGE_CREDENTIALS_KEY to a Fernet key")
        return Finding("credentials key", True, "SCROOGE_CREDENTIALS_KEY is set and usable")
    if settings.database_url is None:
        return Finding("credentials key", True, "kept beside the data, which is good for test mode only")
    return Finding(
        "credentials key",
        False,
        "not set: live PSP credentials are refused",
        "set SCROOGE_CREDENTIALS_KEY to a Fernet key from your secret store",
    )


def embedded_database(settings: Settings) -> Iterator[Finding]:
    """Where there is no data yet, a server on data of its own shows that one can run here."""
    folder = settings.data_dir.expanduser()
    with tempfile.TemporaryDirectory(prefix="scrooge-doctor-") as spare:
        try:
            with usable(folder, "SCROOGE_DATA_DIR"):
                exists = has_database(folder)
                if not exists:
                    require_writable(folder)
                server = embedded.start(folder if exists else Path(spare))
        except SettingsError as error:
            yield Finding("data directory", False, str(error), "set SCROOGE_DATA_DIR to a directory of your own")
            return
        except embedded.EmbeddedError as error:
            fix = "set SCROOGE_DATABASE_URL to a PostgreSQL >= 15, or follow the message"
            yield Finding("embedded database", False, str(error), fix)
            return
        try:
            detail = f"runs on {folder}" if exists else f"can run here; there is no database in {folder} yet"
            yield Finding("embedded database", True, detail)
            if exists:
                yield from database(server.url, alone=True)
        finally:
            server.stop()


def require_writable(folder: Path) -> None:
    """Raises OSError where the directory, or the ones above it that are missing, could not be made."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


def database(url: str, *, alone: bool) -> Iterator[Finding]:
    """`alone`: the embedded server, which is for one machine and has no standby."""
    try:
        with named(url):
            found = asyncio.run(condition.server(url))
    except (Problem, SettingsError) as error:
        yield Finding("database", False, str(error), "check SCROOGE_DATABASE_URL and that the server runs")
        return
    yield from judged(found)
    if not alone and not found.replica:
        yield standby(found)
    schema = asyncio.run(schema_of(url))
    yield schema
    if schema.ok:
        yield from working(asyncio.run(condition.work(url)))


def judged(found: condition.Server) -> Iterator[Finding]:
    """Does the server keep what it says it has committed?"""
    major = found.version // 10_000
    supported = found.version >= OLDEST_POSTGRESQL
    yield Finding("database", supported, f"PostgreSQL {major}", "" if supported else "upgrade to PostgreSQL >= 15")
    if found.replica:
        yield Finding("primary", False, "this is a read-only replica", "point SCROOGE_DATABASE_URL at the primary")
    durable = found.fsync and found.full_page_writes and found.synchronous_commit not in ("off", "local")
    yield Finding(
        "durability",
        durable,
        "commits survive a crash" if durable else "a crash can lose what was committed",
        "" if durable else "ALTER SYSTEM SET fsync, full_page_writes and synchronous_commit to on; reload",
    )
    skew = abs(found.at - time.time())
    together = skew < CLOCK_SKEW_SECONDS
    yield Finding("clocks", together, f"{skew:.1f} s apart", "" if together else "run NTP on both machines")


def standby(found: condition.Server) -> Finding:
    """Would a promoted standby have every payment that was answered?"""
    if not found.standby_wanted:
        detail = "none that commits wait for: promoting one can lose payments that were answered"
        return Finding("standby", True, detail, "docs/operations.md, High availability, unless the storage does it")
    if found.standbys == 0:
        fix = "start the standby, or choose another in synchronous_standby_names"
        return Finding("standby", False, "commits wait for a synchronous standby, and none is connected", fix)
    return Finding("standby", True, "commits wait for a synchronous standby")


async def schema_of(url: str) -> Finding:
    try:
        behind = (await migrate(url, check=True)).behind
    except SchemaIsNewer as error:
        return Finding("schema", True, str(error))
    except (MigrationError, Problem) as error:
        return Finding("schema", False, str(error), "scrooge migrate says more")
    if behind:
        return Finding("schema", False, f"behind: {', '.join(behind)}", "scrooge migrate")
    return Finding("schema", True, "up to date")


def working(found: condition.Work) -> Iterator[Finding]:
    """Is the background work being done?"""
    late = found.overdue + found.unread
    detail = f"{found.overdue} attempts and {found.unread} notifications wait too long" if late else "nothing waits"
    yield Finding("worker", not late, detail, "scrooge worker" if late else "")
    partitions = "next month's exist" if found.next_month else "next month's are missing"
    yield Finding("partitions", found.next_month, partitions, "" if found.next_month else "scrooge worker")
    breaks = f"{found.breaks} open" if found.breaks else "none"
    yield Finding("breaks", not found.breaks, breaks, "scrooge check" if found.breaks else "")
    errands = f"{found.errands_parked} given up" if found.errands_parked else "none given up"
    fix = "scrooge errands list: what a PSP or the vault refuses to forget" if found.errands_parked else ""
    yield Finding("errands", not found.errands_parked, errands, fix)
    create = "scrooge keys create --caller checkout --scopes '*'"
    yield Finding("API keys", bool(found.keys), f"{found.keys} active", "" if found.keys else create)
    post = "POST /v1/connector-accounts"
    yield Finding("connector accounts", True, f"{found.accounts}", "" if found.accounts else post)
