"""Seals the credentials of connector accounts, so that a copy of the database gives nobody a PSP's key."""

import hashlib
import hmac
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from scrooge.errors import BadCredentials, SettingsError
from scrooge.settings import Settings

REFERENCE = "secret:"  # a credential may name a secret instead of holding it


class Sealer:
    """Fernet (AES-128-CBC with HMAC-SHA256) under `SCROOGE_CREDENTIALS_KEY`; the first key seals, all open."""

    def __init__(self, keys: list[str], secrets_dir: Path | None) -> None:
        try:
            self.fernet = MultiFernet([Fernet(key.strip()) for key in keys])
        except ValueError:
            raise SettingsError("SCROOGE_CREDENTIALS_KEY must hold Fernet keys (44 base64 characters)") from None
        self.secrets_dir = secrets_dir
        self.keys = [hashlib.blake2b(key.strip().encode(), person=b"scrooge-digests").digest() for key in keys]

    def digests(self, text: str) -> list[bytes]:
        """A name for a secret that tells nobody what it is: under the newest key, then under each older one."""
        return [hmac.digest(key, text.encode(), "sha256") for key in self.keys]

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, credentials: Mapping[str, str]) -> str:
        return self.fernet.encrypt(msgspec.json.encode(dict(credentials))).decode()

    def open(self, sealed: str) -> dict[str, str]:
        """The secrets themselves. Raises SettingsError when no configured key opens them."""
        return {name: self.resolve(value) for name, value in self.open_raw(sealed).items()}

    def open_raw(self, sealed: str) -> dict[str, str]:
        """As they were sealed: what names a secret still names it."""
        try:
            return msgspec.json.decode(self.fernet.decrypt(sealed.encode()), type=dict[str, str])
        except InvalidToken:
            raise SettingsError("SCROOGE_CREDENTIALS_KEY does not open the stored credentials") from None

    def resolve(self, value: str) -> str:
        """`secret:NAME` is the content of the file NAME in SCROOGE_SECRETS_DIR; anything else is itself."""
        if not value.startswith(REFERENCE):
            return value
        name = value.removeprefix(REFERENCE)
        if self.secrets_dir is None:
            raise BadCredentials("secret:NAME needs SCROOGE_SECRETS_DIR", param="credentials")
        path = self.secrets_dir / name
        if "/" in name or name.startswith(".") or not path.is_file():
            raise BadCredentials("there is no secret of that name", param="credentials")
        return path.read_text().strip()


def sealer_of(settings: Settings) -> Sealer:
    """With no key set, one is made once and kept beside the data: good for development, refused for live."""
    if settings.credentials_key:
        return Sealer(settings.credentials_key.split(","), settings.secrets_dir)
    path = settings.data_dir.expanduser() / "credentials.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
        with suppress(FileExistsError):
            os.link(mine, path)  # Atomic: of two processes that start together, one key wins.
        mine.unlink()
    return Sealer([path.read_text()], settings.secrets_dir)
