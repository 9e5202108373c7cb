"""Who may ask and where it may go: merchants, callers, API keys, connector accounts.

Small tables, read on every request: kept in memory for a second, so that a revoked key or a paused account
takes effect within that time in every process.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.connectors.connector import Connector, Wire
from scrooge.errors import (
    BadCredentials,
    DatabaseUnavailable,
    NameTaken,
    UnknownConnector,
)
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.lane import Lane
from scrooge.postgres.rows import encoded, microseconds, public
from scrooge.storage.sealing import Sealer
from scrooge.urls import check_url

Q = load(Path(__file__).with_suffix(".sql"))
FRESH_SECONDS = 1.0
SCOPES = frozenset({
    "payments:read", "payments:write", "refunds:write", "instruments:read", "instruments:write", "events:read",
    "ledger:read", "connectors:read", "connectors:write", "webhooks:read", "webhooks:write",
    "operations:read", "operations:write", "routing:read", "routing:admin", "risk:read", "risk:admin",
    "batches:read", "batches:write", "stored_value:read", "stored_value:write", "*",
})  # fmt: skip


class Principal(Struct, frozen=True):
    """Who is asking: a key of a caller within a merchant."""

    key_id: str
    merchant: str
    merchant_name: str
    caller: str
    caller_name: str
    scopes: frozenset[str]
    livemode: bool

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or "*" in self.scopes


class ConnectorAccount(Struct, frozen=True):
    """A merchant's contract at one PSP. Its credentials are opened only to send or verify."""

    id: str
    merchant: str
    name: str
    connector: str
    merchant_account: str
    livemode: bool
    base_url: str | None
    state: str
    created_at: int  # Unix microseconds
    sealed: str
    acquirer_country: str | None = None  # ISO 3166-1; None: not known

    def __repr__(self) -> str:
        return f"ConnectorAccount({self.id}, {self.name!r}, {self.connector!r}, {self.state!r})"


class Directory:
    def __init__(
        self,
        db: Database,
        connectors: Mapping[str, Connector],
        sealer: Sealer,
        *,
        live_allowed: bool,
    ) -> None:
        self.db, self.connectors, self.sealer = db, connectors, sealer
        self.live_allowed = live_allowed
        self.keys: dict[bytes, tuple[float, Principal | None]] = {}
        self.principals: Lane[bytes, Principal] = Lane(
            "principal", db, self.read_principals, lambda digest: digest, shared=True
        )
        self.by_id: dict[str, ConnectorAccount] = {}
        self.names: dict[str, str] = {}
        self.wires: dict[str, tuple[tuple[str, str | None], Wire]] = {}
        self.read_at = 0.0
        self.reading = False

    async def principal(self, secret: str) -> Principal | None:
        """Whose key this is, or None. Looked up by digest, so that timing says nothing about the key."""
        digest = hashlib.sha256(secret.encode()).digest()
        known = self.keys.get(digest)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        return await self.principals.put(digest)

    async def read_principals(self, connection: Any, digests: list[bytes]) -> dict[bytes, Principal]:
        read_at = time.monotonic()
        rows = await run(connection, Q["principals"], digests)
        found = {row["digest"]: principal_of(row) for row in rows}
        if len(self.keys) > 10_000:
            self.keys.clear()  # Only guesses fill this; the real keys come back at once.
        self.keys |= {digest: (read_at, found.get(digest)) for digest in digests}
        self.names |= {p.caller: p.caller_name for p in found.values()}
        return found

    async def refresh(self, *, now: bool = False) -> None:
        """Reads the tables again when they are a second old. One reads, the others go on with what is known."""
        if now or (time.monotonic() - self.read_at > FRESH_SECONDS and not (self.reading and self.by_id)):
            self.reading = True
            try:
                accounts = await run(self.db, Q["accounts"])
                names = await run(self.db, Q["caller_names"])
            except DatabaseUnavailable:
                if now or not self.by_id:
                    raise
                return  # What was recorded can still be asked and applied with what we knew a moment ago.
            finally:
                self.reading = False
            self.by_id = {a.id: a for a in map(account_of, accounts)}
            self.names = {public("clr", r["id"]) or "": r["name"] for r in names}
            self.read_at = time.monotonic()

    async def accounts(self, merchant: str) -> list[ConnectorAccount]:
        await self.refresh()
        return [a for a in self.by_id.values() if a.merchant == merchant]

    async def account(self, id_or_name: str, merchant: str) -> ConnectorAccount | None:
        for account in await self.accounts(merchant):
            if id_or_name in (account.id, account.name):
                return account
        return None

    async def named(self, account_id: str) -> ConnectorAccount | None:
        """An account whose id anybody may send us: nothing is read for it alone."""
        await self.refresh()
        return self.by_id.get(account_id)

    async def account_by_id(self, account_id: str) -> ConnectorAccount | None:
        """An account that a row of ours names: one that is newer than what we know is read at once."""
        await self.refresh()
        return await self.known(account_id)

    async def known(self, account_id: str) -> ConnectorAccount | None:
        """The same without looking whether it changed: within a transaction no second connection is taken."""
        if account_id not in self.by_id:
            await self.refresh(now=True)
        return self.by_id.get(account_id)

    def is_ledger(self, account_id: str) -> bool:
        """Is it our own, of stored value, and no PSP's?"""
        account = self.by_id.get(account_id)
        return account is not None and self.connectors[account.connector].transport == "ledger"

    async def caller_name(self, caller: str) -> str:
        if caller not in self.names:
            await self.refresh(now=True)
        return self.names[caller]

    def wire(self, account: ConnectorAccount) -> Wire:
        """Where and as whom to send for an account. Opening the seal is costly, so it is done once per change."""
        made_of = (account.sealed, account.base_url)
        known = self.wires.get(account.id)
        if known is not None and known[0] == made_of:
            return known[1]
        connector = self.connectors[account.connector]
        credentials = self.sealer.open(account.sealed)
        url = account.base_url
        if url is None:
            url = (connector.live_url if account.livemode else connector.test_url).format_map(credentials)
        wire = Wire(connector, connector.base_url(url), credentials, account.merchant, account.livemode)
        self.wires[account.id] = (made_of, wire)
        return wire

    async def add_account(
        self,
        merchant: str,
        name: str,
        connector: str,
        merchant_account: str,
        livemode: bool,
        credentials: Mapping[str, str],
        base_url: str | None,
        actor: str,
        acquirer_country: str | None = None,
    ) -> ConnectorAccount:
        """Raises UnknownConnector, BadCredentials, BadUrl, NameTaken."""
        if connector not in self.connectors:
            raise UnknownConnector(f"installed are {', '.join(sorted(self.connectors))}", param="connector")
        if livemode and not self.live_allowed:
            raise BadCredentials("live credentials need a real database and SCROOGE_CREDENTIALS_KEY", param="mode")
        self.check_credentials(connector, credentials, livemode)
        if base_url is not None:
            check_url(base_url, livemode)
        account_id = new_id("con", 0)
        async with self.db.transaction() as connection:
            row = await run(
                connection,
                Q["add_account"],
                hex_of(account_id),
                hex_of(merchant),
                name,
                connector,
                merchant_account,
                livemode,
                self.sealer.seal(credentials),
                base_url,
                acquirer_country,
            )
            if row is None:
                raise NameTaken(f"a connector account named {name!r} exists", param="name")
            await note(connection, actor, "connector_account_added", account_id, {"name": name})
        await self.refresh(now=True)
        return self.by_id[account_id]

    async def change_credentials(
        self, account: ConnectorAccount, credentials: Mapping[str, str], base_url: str | None, actor: str
    ) -> ConnectorAccount:
        """Sets the named credentials, keeping the others, and the base URL where one is given.

        Raises BadCredentials, BadUrl.
        """
        if base_url is not None:
            check_url(base_url, account.livemode)
        merged = {**self.sealer.open_raw(account.sealed), **credentials}
        self.check_credentials(account.connector, merged, account.livemode)
        async with self.db.transaction() as connection:
            sealed = self.sealer.seal(merged)
            await run(connection, Q["change_credentials"], hex_of(account.id), sealed, base_url)
            if credentials:
                names = {"names": sorted(credentials)}
                await note(connection, actor, "connector_account_credentials_changed", account.id, names)
            if base_url is not None:
                moved = {"from": account.base_url, "to": base_url}
                await note(connection, actor, "connector_account_base_url_changed", account.id, moved)
        await self.refresh(now=True)
        return self.by_id[account.id]

    async def set_acquirer_country(self, account: ConnectorAccount, country: str, actor: str) -> ConnectorAccount:
        async with self.db.transaction() as connection:
            await run(connection, Q["set_acquirer_country"], hex_of(account.id), country)
            moved = {"from": account.acquirer_country, "to": country}
            await note(connection, actor, "connector_account_acquirer_country_changed", account.id, moved)
        await self.refresh(now=True)
        return self.by_id[account.id]

    def check_credentials(self, connector: str, credentials: Mapping[str, str], livemode: bool) -> None:
        known = self.connectors[connector]
        unknown = set(credentials) - set(known.credentials)
        missing = {n for n, required in known.credentials.items() if required} - set(credentials)
        if unknown or missing:
            takes = ", ".join(f"{n}{'' if r else ' (optional)'}" for n, r in known.credentials.items())
            raise BadCredentials(f"{connector} takes {takes}", param="credentials")
        opened = {name: self.sealer.resolve(value) for name, value in credentials.items()}
        wrong = known.check_credentials(opened, livemode)
        if wrong is not None:
            raise BadCredentials(wrong, param="credentials")

    async def set_state(self, account: ConnectorAccount, state: str, actor: str) -> ConnectorAccount:
        async with self.db.transaction() as connection:
            await run(connection, Q["set_state"], hex_of(account.id), state)
            await note(connection, actor, f"connector_account_{state}", account.id, {})
        await self.refresh(now=True)
        return self.by_id[account.id]


def principal_of(row: Any) -> Principal:
    return Principal(
        public("key", row["id"]) or "",
        public("mer", row["merchant_id"]) or "", row["merchant"],
        public("clr", row["caller_id"]) or "", row["caller"],
        frozenset(row["scopes"]), row["livemode"],
    )  # fmt: skip


def account_of(row: Any) -> ConnectorAccount:
    return ConnectorAccount(
        public("con", row["id"]) or "",
        public("mer", row["merchant_id"]) or "",
        row["name"],
        row["connector"],
        row["merchant_account"],
        row["livemode"],
        row["base_url"],
        row["state"],
        microseconds(row["created_at"]) or 0,
        row["credentials"],
        row["acquirer_country"],
    )


async def note(db: Any, actor: str, action: str, subject: str, detail: dict[str, Any]) -> None:
    """An audit row, in the same transaction as what it is about."""
    await run(db, Q["audit"], 0, hex_of(new_id("aud", 0)), actor, action, subject, encoded(detail))
