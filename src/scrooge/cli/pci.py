"""`doctor --pci`: what of PCI DSS v4.0.1 can be looked at from here, by requirement. docs/pci.md has the rest."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from scrooge.cli.place import place, url_of
from scrooge.cli.vault.pci import Anchors, vault_checks
from scrooge.cli.vault.place import place as vault_place
from scrooge.errors import Problem, SettingsError
from scrooge.postgres.embedded import EmbeddedError
from scrooge.postgres.migrate import MigrationError, connect
from scrooge.settings import Settings, load
from scrooge.sweep.files import in_file, in_folder
from scrooge.sweep.finder import AnyCard, Hit
from scrooge.sweep.rows import in_database
from scrooge.sweep.server import Server, may_enter, server
from scrooge.urls import is_local
from scrooge.vault.settings import VaultSettings
from scrooge.vault.settings import load as load_vault

CLOCK_SKEW_SECONDS = 1.0
DEFAULTS = ("", "postgres", "password", "scrooge", "admin", "changeme", "secret", "root")
SAFE_MODES = ("verify-full", "verify-ca")
SHOWN = 5  # places told of one finding
NOT_HERE = (SettingsError, Problem, EmbeddedError, MigrationError)


class Check(Struct, frozen=True):
    """One look: at what, and what was seen. `fix` is a command or a setting, empty when there is nothing to do."""

    requirement: str
    check: str
    looked_at: str
    ok: bool
    found: str
    fix: str = ""


def checked(logs: list[Path], anchors: Anchors) -> Iterator[Check]:
    """Everything that can be looked at from this machine with these settings."""
    settings, of_vault = load(), load_vault()
    yield from settings_checks(settings, of_vault)
    with ExitStack() as stack:
        try:
            core = stack.enter_context(place(settings, migrated=False, existing=True))
        except NOT_HERE as error:
            yield Check("3.5.1", "the core", "its database", False, str(error), "run it with the core's settings")
            core = None
        try:
            vault = stack.enter_context(vault_place(of_vault, migrated=False, existing=True))
        except NOT_HERE as error:
            yield Check(
                "3.5.1", "the vault", "its database", True, f"not here: {error}", "run it with the vault's settings"
            )
            vault = None
        yield from asyncio.run(database_checks(core, vault, anchors))
    yield from machine_checks()
    for path in logs:
        yield log_check(path)


def settings_checks(core: Settings, vault: VaultSettings) -> Iterator[Check]:
    for name, url in (("SCROOGE_DATABASE_URL", core.database_url), ("SCROOGE_VAULT_DATABASE_URL", vault.database_url)):
        if url is not None:
            yield password_check(name, url)
            yield tls_check(name, url)
    for name, address in (
        ("SCROOGE_VAULT_URL", core.vault_url), ("SCROOGE_PUBLIC_URL", core.public_url),
        ("SCROOGE_VAULT_PUBLIC_URL", vault.public_url),
    ):  # fmt: skip
        if address is not None:
            parts = urlsplit(address)
            ok = parts.scheme == "https" or is_local(parts.hostname or "")
            found = "TLS, or this machine" if ok else "plain HTTP to another machine"
            yield Check("4.2.1", "encrypted on the way", name, ok, found, "" if ok else f"{name}=https://...")
    for name, level in (("SCROOGE_LOG_LEVEL", core.log_level), ("SCROOGE_VAULT_LOG_LEVEL", vault.log_level)):
        ok = level != "debug"
        yield Check("3.5.1", "no debug log", name, ok, level, "" if ok else f"{name}=info")


def password_check(name: str, url: str) -> Check:
    """A socket that asks for no password is another thing: who may reach it is the system's to say."""
    parts = urlsplit(url)
    ok = not parts.hostname or (parts.password or "") not in {*DEFAULTS, parts.username}
    found = "not a default" if ok else "a default, or none"
    fix = "" if ok else "give its login a random password: ALTER ROLE ... PASSWORD"
    return Check("2.2.2", "no default password", name, ok, found, fix)


def tls_check(name: str, url: str) -> Check:
    parts = urlsplit(url)
    mode = parse_qs(parts.query).get("sslmode", ["prefer"])[0]
    ok = not parts.hostname or is_local(parts.hostname) or mode in SAFE_MODES
    found = f"sslmode={mode}" if parts.hostname else "a Unix socket"
    return Check("4.2.1", "encrypted on the way", name, ok, found, "" if ok else "add sslmode=verify-full to it")


async def database_checks(core: Settings | None, vault: VaultSettings | None, anchors: Anchors) -> list[Check]:
    found: list[Check] = []
    ours = theirs = None
    try:
        if core is not None:
            ours = await connect(url_of(core))
            found += await one_database(ours, "core")
        if vault is not None:
            theirs = await connect(url_of(vault), "SCROOGE_VAULT_DATABASE_URL")
            found += await one_database(theirs, "vault")
            found += [Check(*row) for row in await vault_checks(theirs, vault, anchors)]
        if ours is not None and theirs is not None:
            found.append(await apart(ours, theirs))
    except (Problem, SettingsError) as error:
        found.append(Check("3.5.1", "databases", "both", False, str(error), "scrooge doctor says more"))
    finally:
        for connection in (ours, theirs):
            if connection is not None:
                await connection.close(timeout=5)
    return found


async def one_database(connection: Any, name: str) -> list[Check]:
    s = await server(connection)
    skew = abs(s.at - time.time())
    where = f"{name}'s database"
    return [
        log_settings(s, where),
        Check("10.6.1", "clocks", where, skew < CLOCK_SKEW_SECONDS, f"{skew:.2f} s apart",
              "" if skew < CLOCK_SKEW_SECONDS else "run NTP on both machines"),
        least(s, where),
        await rows_check(connection, where),
    ]  # fmt: skip


def log_settings(s: Server, where: str) -> Check:
    fix = "ALTER SYSTEM SET log_parameter_max_length = 0; SET log_parameter_max_length_on_error = 0; reload"
    bad = s.logs_parameters
    found = "parameters of statements go into its log" if bad else "no parameter of a statement goes into its log"
    return Check("3.5.1", "PostgreSQL's log", where, not bad, found, fix if bad else "")


def least(s: Server, where: str) -> Check:
    """The embedded server has one login, behind a socket that only its own user reaches."""
    ok = not s.superuser or s.on_a_socket
    found = "the login is a superuser" if s.superuser else "the login is no superuser"
    return Check(
        "7.2.5",
        "least privilege",
        where,
        ok,
        found,
        "" if ok else "docs/operations.md, The database: a login of its own",
    )


async def rows_check(connection: Any, where: str) -> Check:
    hits, read = await in_database(connection, AnyCard())
    found = f"none in {read / 1e6:.1f} MB of rows" if not hits else told(hits)
    return Check(
        "3.5.1", "no card number in rows", where, not hits, found, "docs/operations.md, pan-found" if hits else ""
    )


async def apart(ours: Any, theirs: Any) -> Check:
    """On one server the core's login must not enter the vault's database; another server it cannot even name."""
    core, vault = await server(ours), await server(theirs)
    what, looked_at = "apart", "both databases"
    if core.identifier != vault.identifier:
        return Check("7.2.5", what, looked_at, True, "two servers")
    if core.database == vault.database or core.login == vault.login:
        fix = "give the vault a database and a login of its own"
        return Check("7.2.5", what, looked_at, False, "the same database or login", fix)
    may = await may_enter(theirs, core.login)
    fix = f"REVOKE CONNECT ON DATABASE {vault.database} FROM PUBLIC" if may else ""
    return Check(
        "7.2.5", what, looked_at, not may, f"the core's login {'may' if may else 'may not'} enter the vault's", fix
    )


def machine_checks() -> Iterator[Check]:
    try:
        swaps = Path("/proc/swaps").read_text().splitlines()[1:]
    except OSError:
        return
    fix = "swapoff -a on the vault's machine, or encrypt the swap" if swaps else ""
    found = f"{len(swaps)} swap areas: memory with cards can reach a disk" if swaps else "no swap"
    yield Check("3.5.1", "memory stays memory", "/proc/swaps", not swaps, found, fix)


def log_check(path: Path) -> Check:
    finder = AnyCard()
    try:
        hits = in_folder(finder, path) if path.is_dir() else in_file(finder, path)
    except OSError as error:
        return Check(
            "3.5.1",
            "no card number in files",
            str(path),
            False,
            error.strerror or "unreadable",
            "give a path that can be read",
        )
    return Check("3.5.1", "no card number in files", str(path), not hits, told(hits) if hits else "none",
                 "docs/operations.md, pan-found" if hits else "")  # fmt: skip


def told(hits: list[Hit]) -> str:
    """The number of finds and where the first ones are; a number is named by what may be shown of it."""
    places = [f"{h.what} ({h.how}) in {h.where} at {h.at}" for h in hits[:SHOWN]]
    return f"{len(hits)}: " + "; ".join(places) + ("; ..." if len(hits) > SHOWN else "")
