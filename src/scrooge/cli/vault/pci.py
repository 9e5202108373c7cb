"""`doctor --pci`, the vault's side: keys, audit, security codes, retention, and the process that runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from scrooge.postgres.database import Database, connect
from scrooge.sweep.server import vault_rows
from scrooge.vault import audit
from scrooge.vault.hardening import allows_core
from scrooge.vault.keys import health
from scrooge.vault.retention import Rules
from scrooge.vault.schema import ROLE
from scrooge.vault.settings import VaultSettings

Row = tuple[str, str, str, bool, str, str]  # requirement, check, looked at, ok, found, fix
Anchors = dict[str, tuple[int, str]] | None
AUDIT = ("the audit is whole", "audit")


async def vault_checks(connection: Any, settings: VaultSettings, anchors: Anchors) -> list[Row]:
    month = Rules(settings.retention_days + 1, 0).month(datetime.now(UTC))
    rows = await vault_rows(connection, ROLE, month)
    assert settings.database_url is not None
    db = await connect(settings.database_url, size=2, role=None)
    try:
        return [
            *table_checks(rows),
            *live_checks(rows, settings),
            *await key_checks(db, settings),
            await audit_check(db, anchors),
            *process_checks(settings),
        ]
    finally:
        await db.close()


def table_checks(rows: Any) -> list[Row]:
    return [
        found("3.3.2", "security codes on no disk", "security_codes", rows["codes_unlogged"], "unlogged", "LOGGED",
              "ALTER TABLE security_codes SET UNLOGGED"),
        found("3.3.1", "security codes gone", "security_codes", not rows["codes_late"], "none past its minutes",
              f"{rows['codes_late']} past their minutes", "run `scrooge vault`: it takes them away"),
        found("3.2.1", "expired cards shredded", "cards", not rows["cards_late"], "none past its retention",
              f"{rows['cards_late']} past their retention", "run `scrooge vault`, or `scrooge vault forget`"),
        found("10.3.2", "nobody changes the audit", ROLE, not rows["may_change_audit"], "may only add", "may change it",
              f"REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM {ROLE}"),
        found("7.2.5", "least privilege", ROLE, not rows["may_delete_cards"], "may delete no card", "may delete cards",
              f"REVOKE DELETE, TRUNCATE ON cards FROM {ROLE}"),
        found("8.6.3", "vault keys change", "vault_keys", not rows["keys_old"], "none older than a year",
              f"{rows['keys_old']} older than a year", "scrooge vault callers create, then revoke"),
    ]  # fmt: skip


def live_checks(rows: Any, settings: VaultSettings) -> list[Row]:
    """A vault with real cards needs what development can do without."""
    live = bool(rows["keys_live"] or rows["cards_live"])
    if not live:
        return [("6.5.3", "live mode", "vault_keys, cards", True, "test mode only: no real card is here", "")]
    return [
        found("2.2.1", "a database of its own", "SCROOGE_VAULT_DATABASE_URL", not settings.embedded, "set",
              "real cards in the embedded database", "set SCROOGE_VAULT_DATABASE_URL"),
        found("6.3.2", "signed templates", "SCROOGE_VAULT_TEMPLATES", settings.templates is not None, "set", "not set",
              "scrooge vault templates sign"),
        found("4.2.1", "TLS", "SCROOGE_VAULT_PUBLIC_URL", settings.base().startswith("https://"), "https", "http",
              "set SCROOGE_VAULT_TLS_CERTIFICATE, or put a proxy before it"),
        found("3.6.1", "key-encryption key", "SCROOGE_VAULT_KEK", not settings.kek_uri().startswith("file:"),
              "in a KMS or in shares", "in a file", "scrooge vault keys rewrap --to gcp-kms://..."),
    ]  # fmt: skip


async def key_checks(db: Database, settings: VaultSettings) -> list[Row]:
    seen = await health.look(db, settings.kek_uri())
    keys = f"{len(seen.keys)} keys" + (f" under {seen.kek.uri.partition(':')[0]}" if seen.kek else "")
    soon = "; soon: " + "; ".join(seen.soon) if seen.soon else ""
    unchecked = "`scrooge vault keys reencrypt` opens the keys and checks it: with SCROOGE_VAULT_KEK, or the shares"
    return [
        found("3.7.4", "cryptoperiods", "keys", not seen.wrong, f"{keys} in their periods{soon}", "; ".join(seen.wrong),
              "scrooge vault keys status"),
        found("3.7.7", "no key put in another's place", "registry of keys", seen.verified or not seen.keys,
              "whole" if seen.keys else "no keys yet", "not checked", unchecked),
    ]  # fmt: skip


async def audit_check(db: Database, anchors: Anchors) -> Row:
    """Without anchors an owner of the database could have made every chain anew: then it is told, with what to do."""
    seen = await audit.verify(db, anchors)
    if seen.broken:
        broken = "; ".join(f"{b.stream} {b.seq}: {b.why}" for b in seen.broken[:3])
        return "10.3.4", *AUDIT, False, broken, "open an incident: somebody changed the vault's database"
    whole = f"{seen.records} records in unbroken chains"
    if anchors is None:
        kept = "keep what `scrooge audit verify --json` prints elsewhere, and give it: --anchors FILE"
        return "10.3.4", *AUDIT, True, f"{whole}; not compared with an earlier look", kept
    return "10.3.4", *AUDIT, True, f"{whole}, and what was seen before is in them", ""


def process_checks(settings: VaultSettings) -> list[Row]:
    pid = listening_on(settings.port)
    if pid is None:
        return [("3.5.1", "no core files", "the vault's process", True, "it does not run on this machine", "")]
    try:
        allowed = allows_core(pid)
        process = psutil.Process(pid)
        closed = process.uids().real == 0 or Path(f"/proc/{pid}").stat().st_uid == 0
    except (OSError, psutil.Error):
        return [("3.5.1", "no core files", "the vault's process", True, "it may not be looked at by this user", "")]
    fix = "restart it: `scrooge vault` forbids this at its start"
    return [
        found("3.5.1", "no core files", f"process {pid}", not allowed, "its limit is 0", "it may leave one", fix),
        found(
            "7.2.5", "closed to its own user", f"process {pid}", closed, "not dumpable, or root's", "can be read", fix
        ),
    ]


def listening_on(port: int) -> int | None:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return connection.pid
    except psutil.Error:
        return None
    return None


def found(requirement: str, check: str, looked_at: str, ok: bool, good: str, bad: str, fix: str) -> Row:
    return requirement, check, looked_at, ok, good if ok else bad, "" if ok else fix
