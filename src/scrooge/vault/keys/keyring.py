"""The vault's keys in this process's memory: they seal and open cards and make fingerprints.

The keys are read again every few seconds, so that a key which another process made opens here before it seals anywhere
(a new key waits for longer than that before it is used), and one that was destroyed is forgotten here too.
"""

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
import tink
from msgspec import Struct
from tink import aead, mac

from scrooge import metrics
from scrooge.errors import CannotOpen, KeyNotHere, KeyPeriodOver, KeysStale, LiveModeRefused, Problem, VaultSealed
from scrooge.postgres.database import Database
from scrooge.vault.keys import registry
from scrooge.vault.keys.kek import Kek, of_secret
from scrooge.vault.keys.keyset import Purpose, aead_of, key_id_of, mac_of
from scrooge.vault.keys.registry import Kept, State, Version, mode_of
from scrooge.vault.keys.shelf import Shelf
from scrooge.vault.keys.wrapping import active_kek, named_by

log = structlog.get_logger()
REFRESH_SECONDS = 2.0
SEALED_SECONDS = 0.25  # The custodians may have opened another process of this vault, and so all.
STALE_SECONDS = 30.0  # Without news of the keys for so long nothing is sealed; what is sealed still opens.


class Keys(Struct, frozen=True):
    """What one look at the registry found: primitives by key id for each mode, and the versions in use."""

    cards: Mapping[bool, Mapping[int, aead.Aead]]
    fingerprints: Mapping[bool, Mapping[int, mac.Mac]]
    registries: Mapping[bool, Mapping[int, mac.Mac]]
    active: Mapping[tuple[Purpose, bool], Version]

    def __repr__(self) -> str:
        return f"Keys({sorted(v.name for v in self.active.values())})"


def utc() -> datetime:
    return datetime.now(UTC)


class Keyring:
    """`named` are the key-encryption keys of SCROOGE_VAULT_KEK, the `shelf` has those of custodians; `now` is the clock
    by which cryptoperiods end."""

    def __init__(
        self, db: Database, named: Sequence[Kek] = (), now: Callable[[], datetime] = utc, shelf: Shelf | None = None
    ) -> None:
        self.db, self.named, self.now, self.shelf = db, named, now, shelf or Shelf()
        self.keks: dict[str, Kek] = {}  # by the id of the registry's row; empty while the vault is sealed
        self.keys: Keys | None = None
        self.read_at = 0.0

    def __repr__(self) -> str:
        return f"Keyring({'sealed' if self.sealed else self.keys})"

    @property
    def sealed(self) -> bool:
        return self.keys is None

    def seal(self, live: bool, context: bytes, clear: bytes) -> bytes:
        """`context` is authenticated: what is sealed opens with the same context only.

        Raises VaultSealed, LiveModeRefused, KeyPeriodOver, KeysStale.
        """
        keys = self.opened()
        return keys.cards[live][self.usable(keys, Purpose.CARD, live)].encrypt(clear, context)

    def open(self, live: bool, context: bytes, sealed: bytes) -> bytes:
        """Raises VaultSealed, CannotOpen, and KeyNotHere when another look at the keys may help."""
        key = self.opened().cards.get(live, {}).get(key_id_of(sealed))
        if key is None:
            raise KeyNotHere("no key of this mode has the id that sealed this")
        try:
            return key.decrypt(sealed, context)
        except tink.TinkError:
            raise CannotOpen("this was changed, or sealed for another card") from None

    async def open_soon(self, live: bool, context: bytes, sealed: bytes) -> bytes:
        """The same; a key that this process has not heard of is looked for once."""
        try:
            return self.open(live, context, sealed)
        except KeyNotHere:
            await self.refresh()
            return self.open(live, context, sealed)

    def fingerprint(self, live: bool, merchant: str, number: str) -> bytes:
        """The same for the same card of a merchant, as long as the key is; tells nothing of the card without the key.

        Raises VaultSealed, LiveModeRefused, KeyPeriodOver, KeysStale.
        """
        keys = self.opened()
        return keys.fingerprints[live][self.usable(keys, Purpose.FINGERPRINT, live)].compute_mac(said(merchant, number))

    def is_fingerprint(self, live: bool, merchant: str, number: str, fingerprint: bytes) -> bool:
        """Whether a kept fingerprint is this card's, whichever key it was made with. Raises VaultSealed, KeyNotHere."""
        key = self.opened().fingerprints.get(live, {}).get(key_id_of(fingerprint))
        if key is None:
            raise KeyNotHere("no key of this mode made this fingerprint")
        return hmac.compare_digest(key.compute_mac(said(merchant, number)), fingerprint)

    def opened(self) -> Keys:
        if self.keys is None:
            raise VaultSealed("the vault waits for its custodians: scrooge vault unseal")
        return self.keys

    def usable(self, keys: Keys, purpose: Purpose, live: bool) -> int:
        """The key that encrypts now."""
        version = keys.active.get((purpose, live))
        if version is None:
            raise LiveModeRefused(f"the vault has no {purpose} key of {mode_of(live)} mode")
        if self.now() >= version.not_after:
            raise KeyPeriodOver(f"the {purpose} key for {mode_of(live)} mode has reached the end of its cryptoperiod")
        if time.monotonic() - self.read_at > STALE_SECONDS:
            raise KeysStale("the states of the keys have not been read for too long")
        return version.key_id

    # --- reading the keys again ---------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """When it fails, all stays as it was.

        Raises VaultSealed, DatabaseUnavailable, KeyRegistryBroken, CannotOpen, KekUnavailable.
        """
        asked_at = time.monotonic()
        await self.take(await registry.read(self.db))
        self.read_at = max(self.read_at, asked_at)

    async def take(self, kept: Sequence[Kept]) -> Keys:
        """Opens what is new, and checks every row before any of it is used."""
        if not kept:  # Its custodians have not even made one.
            raise VaultSealed("the vault has no keys yet: hold a ceremony")
        known = {} if self.keys is None else primitives(self.keys)
        rows = [k for k in kept if k.wrapped is not None]
        opened = {k.version.key_id: known.get(k.version.key_id) or await self.unwrapped(k) for k in rows}
        sorts: dict[Purpose, dict[bool, dict[int, Any]]] = {p: {False: {}, True: {}} for p in Purpose}
        for k in rows:
            sorts[k.version.purpose][k.version.livemode][k.version.key_id] = opened[k.version.key_id]
        registry.verify(kept, sorts[Purpose.REGISTRY])
        active = {(v.purpose, v.livemode): v for v in (k.version for k in kept) if v.state is State.ACTIVE}
        self.keys = Keys(sorts[Purpose.CARD], sorts[Purpose.FINGERPRINT], sorts[Purpose.REGISTRY], active)
        return self.keys

    async def unwrapped(self, kept: Kept) -> Any:
        """A key ready for use; its clear bytes are let go at once, as far as Python lets anything go."""
        v = kept.version
        kek = await self.kek_of(kept)
        if v.livemode and not kek.live:
            raise CannotOpen(f"key {v.name} is of live mode, and {kek.uri} is for test mode only")
        assert kept.wrapped is not None
        clear = await kek.unwrap(kept.wrapped, registry.wrapping_context(v))
        return aead_of(clear) if v.purpose is Purpose.CARD else mac_of(clear)

    async def kek_of(self, kept: Kept) -> Kek:
        known = self.brought(kept.kek_id or "")
        if known is None:
            row = await active_kek(self.db)
            kek = None if row is None else await named_by(row, self.named)
            if row is None or kek is None or row.id != kept.kek_id:
                raise VaultSealed("the vault waits for its custodians: scrooge vault unseal")
            known = self.keks[row.id] = kek
        return known

    def brought(self, kek_id: str) -> Kek | None:
        """The key-encryption key, if this process has it or custodians gave it to one of its kind."""
        if kek_id not in self.keks and (secret := self.shelf.look().secrets.get(kek_id)):
            self.keks[kek_id] = of_secret(secret)
        return self.keks.get(kek_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What goes wrong is logged and tried again; the keys in memory stay as they are."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), SEALED_SECONDS if self.sealed else REFRESH_SECONDS)
            except TimeoutError:
                await self.refreshed()

    async def refreshed(self) -> bool:
        try:
            await self.refresh()
        except VaultSealed:
            return False
        except Problem as error:
            metrics.VAULT_KEYS_UNREAD.inc()
            log.error("vault_keys_unread", code=error.code, detail=error.detail)
            return False
        self.show()
        return True

    def show(self) -> None:
        for (purpose, live), version in self.opened().active.items():
            left = (version.not_after - self.now()).total_seconds()
            metrics.VAULT_KEY_SECONDS_LEFT.labels(str(purpose), mode_of(live)).set(left)


def primitives(keys: Keys) -> dict[int, Any]:
    sorts = (keys.cards, keys.fingerprints, keys.registries)
    return {key_id: key for by_mode in sorts for by_id in by_mode.values() for key_id, key in by_id.items()}


def said(merchant: str, number: str) -> bytes:
    """Of each merchant apart, so that nobody finds by two fingerprints that two merchants know one card."""
    return f"{merchant}|{number}".encode()
