"""Which key-encryption key wraps the vault's keys now, as the registry knows it, and whether the one we have is it."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from scrooge.errors import CannotOpen, SettingsError
from scrooge.postgres.database import run
from scrooge.vault.keys.kek import Kek
from scrooge.vault.keys.registry import Q

CHECKED = b"scrooge vault: the right key-encryption key opens this"


class KekRow(Struct, frozen=True, kw_only=True):
    """`threshold` is how many shares make it, if custodians bring it in shares; `salt` is of their commitments."""

    id: str
    uri: str
    threshold: int | None
    salt: bytes | None
    check_value: bytes
    created_at: datetime
    not_after: datetime


class NewKek(Struct, frozen=True, kw_only=True):
    """A key-encryption key to be taken into use; `shares` is the custodian and the commitment of each."""

    kek: Kek
    id: str
    threshold: int | None = None
    salt: bytes | None = None
    shares: tuple[tuple[str, bytes], ...] = ()


def new_kek_id() -> str:
    return secrets.token_hex(8)


def checking_context(kek_id: str) -> bytes:
    return f"scrooge vault kek|{kek_id}".encode()


async def active_kek(db: Any) -> KekRow | None:
    row = await run(db, Q["active_kek"])
    return None if row is None else KekRow(**row)


async def is_right(kek: Kek, row: KekRow) -> bool:
    """Whether it opens the row's check value. Raises KekUnavailable."""
    try:
        return await kek.unwrap(row.check_value, checking_context(row.id)) == CHECKED
    except CannotOpen:
        return False


async def named_by(row: KekRow, keks: Iterable[Kek]) -> Kek | None:
    """The one of ours that the row names. Raises SettingsError when it has the name and is another key."""
    for kek in keks:
        if kek.uri == row.uri:
            if not await is_right(kek, row):
                raise SettingsError(f"SCROOGE_VAULT_KEK: {kek.uri} is not the key that wrapped the vault's keys")
            return kek
    return None


async def add_kek(connection: Any, new: NewKek, at: datetime, days: int) -> None:
    """In use from now on; the one before it must be retired by now."""
    check_value = await new.kek.wrap(CHECKED, checking_context(new.id))
    until = at + timedelta(days=days)
    await run(connection, Q["add_kek"], new.id, new.kek.uri, new.threshold, new.salt, check_value, at, until)
    for number, (custodian, commitment) in enumerate(new.shares, start=1):
        await run(connection, Q["add_share"], new.id, number, custodian, commitment)
