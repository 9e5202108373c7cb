"""The registry of keys: which there are, what state each is in, and that nobody changed what it says.

States are those of NIST SP 800-57 part 1: pre_active (known to every process and used by none), active (one for each
purpose and mode), decrypt_only, destroyed. Each row carries a MAC by the mode's registry key, and each key's material
is wrapped for its own purpose, mode, version and id: a row put in another's place is found (PCI DSS 3.7.7).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import tink
from msgspec import Struct, structs
from tink import mac

from scrooge.errors import KeyRegistryBroken
from scrooge.postgres.database import load, run
from scrooge.vault.keys.keyset import Purpose

Q = load(Path(__file__).with_suffix(".sql"))


class State(StrEnum):
    PRE_ACTIVE = "pre_active"
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    DESTROYED = "destroyed"


class Version(Struct, frozen=True, kw_only=True):
    """One key. `not_after` ends the time in which it may encrypt; it opens what it sealed until it is destroyed."""

    key_id: int
    purpose: Purpose
    livemode: bool
    version: int
    state: State
    created_at: datetime
    not_after: datetime
    active_at: datetime | None = None
    retired_at: datetime | None = None
    destroyed_at: datetime | None = None
    compromised: bool = False

    @property
    def name(self) -> str:
        return f"{self.purpose}/{mode_of(self.livemode)}/{self.version}"


class Kept(Struct, frozen=True):
    """A row as it is stored: the MAC on what it says, and the wrapped key, if it has not been destroyed."""

    version: Version
    mac: bytes
    kek_id: str | None
    wrapped: bytes | None

    def __repr__(self) -> str:
        return f"Kept({self.version.name})"


def mode_of(live: bool) -> str:
    return "live" if live else "test"


def wrapping_context(v: Version) -> bytes:
    """What a key's material is wrapped for: in any other place it does not open."""
    return f"scrooge vault key|{v.purpose}|{mode_of(v.livemode)}|{v.version}|{v.key_id}".encode()


def spoken(v: Version) -> bytes:
    """What the MAC covers: everything that the row says."""
    moments = [m and m.isoformat() for m in (v.created_at, v.not_after, v.active_at, v.retired_at, v.destroyed_at)]
    row = [v.key_id, v.purpose, mode_of(v.livemode), v.version, v.state, v.compromised, *moments]
    return json.dumps(row, separators=(",", ":")).encode()


def verify(kept: Iterable[Kept], registries: Mapping[bool, Mapping[int, mac.Mac]]) -> None:
    """Raises KeyRegistryBroken. `registries` has the registry keys of each mode by id."""
    for row in kept:
        v = row.version
        if (row.wrapped is None) is not (v.state is State.DESTROYED):
            raise KeyRegistryBroken(f"key {v.name} is {v.state}, and its material says otherwise")
        key = registries.get(v.livemode, {}).get(int.from_bytes(row.mac[1:5]))
        try:
            if key is None:
                raise tink.TinkError("no such registry key")
            key.verify_mac(row.mac, spoken(v))
        except tink.TinkError:
            raise KeyRegistryBroken(f"the row of key {v.name} is not as the vault wrote it") from None


async def read(connection: Any) -> list[Kept]:
    return [kept_of(row) for row in await run(connection, Q["versions"])]


def kept_of(row: Any) -> Kept:
    fields = {name: row[name] for name in Version.__struct_fields__}
    fields |= {"purpose": Purpose(row["purpose"]), "state": State(row["state"])}
    return Kept(Version(**fields), row["mac"], row["kek_id"], row["wrapped"])


async def add(connection: Any, v: Version, tag: bytes, kek_id: str, wrapped: bytes) -> None:
    await run(connection, Q["add_version"], *structs.astuple(v), tag)
    await run(connection, Q["add_keyset"], v.key_id, v.livemode, kek_id, wrapped)


async def keep(connection: Any, v: Version, tag: bytes) -> None:
    await run(
        connection, Q["keep_version"], v.key_id, v.state, v.active_at, v.retired_at, v.destroyed_at, v.compromised, tag
    )
