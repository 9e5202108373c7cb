"""The keyring of a process that starts: the first process of a new vault makes the keys."""

from collections.abc import Callable
from datetime import datetime

from scrooge.errors import SettingsError, VaultSealed
from scrooge.postgres.database import Database
from scrooge.vault import audit
from scrooge.vault.audit import CONTROL
from scrooge.vault.keys.acts import Operator, begin, first_keys
from scrooge.vault.keys.kek import Kek
from scrooge.vault.keys.keyring import Keyring, utc
from scrooge.vault.keys.named import of_uri
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.shelf import Shelf
from scrooge.vault.keys.wrapping import NewKek, active_kek, add_kek, named_by, new_kek_id


async def open_keyring(
    db: Database, uris: str, periods: Periods, by: Operator, now: Callable[[], datetime] = utc,
    shelf: Shelf | None = None,
) -> Keyring:  # fmt: skip
    """`uris` is SCROOGE_VAULT_KEK: while one key-encryption key takes the place of another, both, comma-separated.

    A vault whose key-encryption key is in shares comes back sealed. Raises SettingsError, DatabaseUnavailable,
    KekUnavailable, CannotOpen, KeyRegistryBroken.
    """
    names = [uri.strip() for uri in uris.split(",") if uri.strip()]
    row = await active_kek(db)
    keks = [kek for kek in (of_uri(uri, make=row is None) for uri in names) if kek is not None]
    in_shares = len(keks) < len(names)
    if row is None and keks and not in_shares:
        await first_start(db, keks[0], periods, by)
        row = await active_kek(db)
    keyring = Keyring(db, keks, now, shelf)
    if row is None:
        return keyring
    if await named_by(row, keks) is None and not (row.threshold and in_shares):
        raise SettingsError(f"the vault's keys are wrapped by {row.uri}: SCROOGE_VAULT_KEK must name it")
    try:
        await keyring.refresh()
    except VaultSealed:
        return keyring
    return keyring


async def first_start(db: Database, kek: Kek, periods: Periods, by: Operator) -> None:
    """Of several processes that start a new vault together, one makes its keys."""
    await make_vault(db, NewKek(kek=kek, id=new_kek_id()), periods, by)


async def make_vault(db: Database, new: NewKek, periods: Periods, by: Operator) -> bool:
    """The first key-encryption key and the keys under it; False where there are some already."""
    async with db.transaction() as connection:
        at = await begin(connection)
        if await active_kek(connection) is not None:
            return False
        await add_kek(connection, new, at, periods.kek_days)
        versions = await first_keys(connection, new.kek, new.id, [], at, periods.key_days)
        acts = [by.act("kek_taken", new.kek.uri), *(by.act("key_made", v.name, key_id=v.key_id) for v in versions)]
        await audit.append(connection, CONTROL, acts)
    return True
