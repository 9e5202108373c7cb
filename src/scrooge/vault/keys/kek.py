"""The key-encryption key: it wraps the keys that the database keeps, and is never in that database itself.

`SCROOGE_VAULT_KEK` names it: `file:PATH` for development, `gcp-kms://projects/...` in Google Cloud KMS, `shares:` when
custodians bring it in shares and nobody stores it.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import tink
from msgspec import Struct
from tink import aead, json_proto_keyset_format, secret_key_access

from scrooge.errors import CannotOpen, SettingsError
from scrooge.vault.keys.keyset import TEMPLATES, Purpose, aead_of_secret

FILE, KMS, SHARES = "file:", "gcp-kms://", "shares:"


class Kek(Protocol):
    """`context` is authenticated with what is wrapped: the same bytes must be given to unwrap it."""

    @property
    def uri(self) -> str:
        """As the setting has it; names the key and holds nothing of it."""
        ...

    @property
    def live(self) -> bool:
        """May it guard the keys of live mode?"""
        ...

    async def wrap(self, clear: bytes, context: bytes) -> bytes:
        """Raises KekUnavailable."""
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises CannotOpen when it was wrapped by another key or for another context, KekUnavailable."""
        ...


class Held(Struct, frozen=True):
    """A key-encryption key that this process holds in its memory."""

    uri: str
    live: bool
    aead: aead.Aead

    async def wrap(self, clear: bytes, context: bytes) -> bytes:
        return self.aead.encrypt(clear, context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self.aead.decrypt(wrapped, context)
        except tink.TinkError:
            raise CannotOpen("the key-encryption key does not open this") from None

    def __repr__(self) -> str:
        return f"Held({self.uri!r})"


def of_secret(secret: bytes) -> Held:
    """What custodians made of their shares."""
    return Held(SHARES, True, aead_of_secret(secret))


def of_file(path: Path, *, make: bool) -> Held:
    """A keyset in a file that only its owner reads: for development, so it refuses live mode.

    `make`: there are no keys yet that it should open, so a missing file may be made. Raises SettingsError.
    """
    place = path.expanduser().absolute()
    try:
        if make and not place.exists():
            write(place)
        if stat.S_IMODE(place.stat().st_mode) & 0o077:
            raise SettingsError(f"SCROOGE_VAULT_KEK: others may read {place}: chmod 600 it")
        handle = json_proto_keyset_format.parse(place.read_text(), secret_key_access.TOKEN)
    except FileNotFoundError:
        raise SettingsError(f"SCROOGE_VAULT_KEK: there is no {place}; the vault's keys open with no other") from None
    except OSError as error:
        raise SettingsError(f"SCROOGE_VAULT_KEK: {place}: {error.strerror or error}") from None
    except (tink.TinkError, UnicodeDecodeError):
        raise SettingsError(f"SCROOGE_VAULT_KEK: {place} is not a Tink keyset") from None
    return Held(f"{FILE}{path}", False, handle.primitive(aead.Aead))


def write(place: Path) -> None:
    """A new keyset. Of two processes that start together one wins, and both use its file."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = tink.new_keyset_handle(TEMPLATES[Purpose.CARD])
    mine = place.with_name(f"{place.name}.{os.getpid()}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(mine, place)
    mine.unlink()
