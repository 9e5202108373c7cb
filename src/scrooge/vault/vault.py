"""The running vault, and what each of its doors needs of it. Built once, when the process starts."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from scrooge.connectors.client import client
from scrooge.connectors.connector import Connector
from scrooge.connectors.registry import connectors
from scrooge.errors import DatabaseUnavailable, SettingsError
from scrooge.ids import hex_of, new_id, number_of
from scrooge.postgres.database import Database, connect, load, run
from scrooge.postgres.rows import public
from scrooge.service import Identity, identity, public_key
from scrooge.vault import audit, retention
from scrooge.vault.audit import Act
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.custodians import Custodians
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.start import open_keyring
from scrooge.vault.processes import Common
from scrooge.vault.schema import ROLE
from scrooge.vault.settings import VaultSettings
from scrooge.vault.templates import Book, Manifest, read_manifest
from scrooge.vault.writer import Writer

log = structlog.get_logger()
Q = load(Path(__file__).with_suffix(".sql"))
CARDS = load(Path(__file__).with_name("cards.sql"))
SCOPES = frozenset({"tokenize", "sessions", "read", "delete"})
FRESH_SECONDS = 1.0
TIDY_SECONDS = 30.0
BEHIND_SECONDS = 5.0


class Caller(Struct, frozen=True):
    """A merchant's server with a vault key."""

    key_id: str
    merchant: str
    name: str
    scopes: frozenset[str]
    livemode: bool


class Strangers:
    """How many refusals of people nobody knows are put on record in a second, and how many were not."""

    MOST = 50

    def __init__(self) -> None:
        self.second, self.count, self.unrecorded = 0, 0, 0

    def turn(self, now: float) -> tuple[bool, int]:
        """(is this one recorded, how many were not since the last that was)."""
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        self.count += 1
        if self.count > self.MOST:
            self.unrecorded += 1
            return False, 0
        unrecorded, self.unrecorded = self.unrecorded, 0
        return True, unrecorded


class Vault:
    """Settings, database, keys in memory, who may ask, and the way out to PSPs."""

    def __init__(
        self,
        settings: VaultSettings,
        db: Database,
        keyring: Keyring,
        http: aiohttp.ClientSession,
        installed: Mapping[str, Connector],
        book: Book,
        own: Identity,
        core_keys: list[Ed25519PublicKey],
        common: Common,
    ) -> None:
        self.settings, self.db, self.keyring, self.http = settings, db, keyring, http
        self.connectors, self.book, self.identity, self.core_keys = installed, book, own, core_keys
        self.custodians = Custodians(db, keyring)
        self.writer = Writer(db, settings.code_minutes, common.shard)
        self.codes = common.codes
        self.callers: dict[bytes, tuple[float, Caller | None]] = {}
        self.strangers = Strangers()
        self.tasks: set[asyncio.Task[None]] = set()

    def behind(self, work: Coroutine[Any, Any, None]) -> None:
        """Done beside the answer, which does not wait for it."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def caller(self, secret: str) -> Caller | None:
        """Whose vault key this is. Looked up by digest, so that timing says nothing about the key."""
        digest = hashlib.sha256(secret.encode()).digest()
        known = self.callers.get(digest)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        row = await run(self.db, Q["caller"], digest)
        found = None if row is None else caller_of(row)
        if len(self.callers) > 10_000:
            self.callers.clear()  # Only guesses fill this.
        self.callers[digest] = (time.monotonic(), found)
        return found

    async def tidy(self) -> None:
        """What has run out by itself is taken away, for as long as the process lives."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self.codes.turn()
            self.custodians.forget()
            try:
                await run(self.db, CARDS["tidy"])
            except DatabaseUnavailable:
                log.warning("vault_not_tidied")


def caller_of(row: Any) -> Caller:
    key_id, merchant = public("key", row["id"]) or "", public("mer", row["merchant_id"]) or ""
    return Caller(key_id, merchant, row["caller"], frozenset(row["scopes"]), row["livemode"])


@asynccontextmanager
async def open_vault(settings: VaultSettings, common: Common) -> AsyncIterator[Vault]:
    """Raises SettingsError, and the Problems of the database and the keys."""
    if settings.database_url is None:
        raise SettingsError("no database: set SCROOGE_VAULT_DATABASE_URL, or let the command line start one")
    own = identity(settings.service_key or "", "SCROOGE_VAULT_SERVICE_KEY")
    keys = [public_key(k, "SCROOGE_VAULT_CORE_KEYS") for k in (settings.core_keys or "").split(",") if k.strip()]
    if not keys:
        raise SettingsError("SCROOGE_VAULT_CORE_KEYS is missing: `scrooge vault pair` prints what belongs together")
    installed = connectors()
    book = Book(installed, urls_of(settings.test_urls), manifest_of(settings))
    db = await connect(settings.database_url, size=settings.database_pool, role=ROLE)
    http = client()
    try:
        keyring = await open_keyring(
            db, settings.kek_uri(), settings.periods(), Operator("vault", "local"), shelf=common.shelf
        )
        v = Vault(settings, db, keyring, http, installed, book, own, keys, common)
        rules = retention.Rules(settings.retention_days, settings.unused_days)
        jobs = (v.tidy(), retention.keep_up(db, rules), keyring.run(asyncio.Event()))
        background = [asyncio.create_task(job) for job in jobs]
        try:
            await remember(v, "started")
            yield v
            await remember(v, "stopped")
        finally:
            await asyncio.wait(v.tasks, timeout=BEHIND_SECONDS) if v.tasks else None
            for task in background:
                task.cancel()
    finally:
        await http.close()
        await db.close()


async def remember(v: Vault, act: str) -> None:
    """PCI DSS 10.2.1.6: the audit's own beginning and end."""
    async with v.db.transaction() as connection:
        entry = Act(who="vault", act=f"audit_{act}", object="vault", outcome="done", origin="local")
        await audit.append(connection, audit.CONTROL, [entry])


def urls_of(text: str | None) -> tuple[str, ...]:
    return tuple(url.strip().rstrip("/") for url in (text or "").split(",") if url.strip())


def manifest_of(settings: VaultSettings) -> Manifest | None:
    if settings.templates is None:
        return None
    return read_manifest(settings.templates, public_key(settings.templates_key or "", "SCROOGE_VAULT_TEMPLATES_KEY"))


async def create_vault_key(
    db: Database, merchant: str, caller: str, scopes: list[str], livemode: bool, operator: str
) -> tuple[str, str]:
    """(id, the key itself, which is shown now and never again). Raises SettingsError for what cannot be."""
    unknown = set(scopes) - SCOPES
    if unknown or not scopes:
        raise SettingsError(f"scopes are {', '.join(sorted(SCOPES))}; got {', '.join(sorted(unknown)) or 'none'}")
    number_of(merchant, "mer")
    secret = f"vk_{'live' if livemode else 'test'}_{secrets.token_urlsafe(32)}"
    key_id = new_id("key", 0)
    async with db.transaction() as connection:
        await run(
            connection, Q["add_caller"], hex_of(key_id), hex_of(merchant), caller,
            hashlib.sha256(secret.encode()).digest(), f"{secret[:8]}...{secret[-4:]}", scopes, livemode,
        )  # fmt: skip
        entry = Act(
            who=f"operator:{operator}", act="vault_key_created", object=key_id, outcome="done", origin="cli",
            detail={"scopes": ",".join(sorted(scopes)), "live": livemode},
        )  # fmt: skip
        await audit.append(connection, audit.CONTROL, [entry])
    return key_id, secret


async def revoke_vault_key(db: Database, key_id: str, operator: str) -> bool:
    """Within a second everywhere. False when there is no such key, or it was revoked before."""
    async with db.transaction() as connection:
        row = await run(connection, Q["revoke_caller"], hex_of(key_id))
        if row is not None:
            who = f"operator:{operator}"
            entry = Act(who=who, act="vault_key_revoked", object=key_id, outcome="done", origin="cli")
            await audit.append(connection, audit.CONTROL, [entry])
    return row is not None


async def vault_keys(db: Database) -> list[dict[str, object]]:
    rows = await run(db, Q["callers"])
    return [{**dict(r), "id": public("key", r["id"]), "merchant_id": public("mer", r["merchant_id"])} for r in rows]
