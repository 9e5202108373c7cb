"""The keys in memory: what seals cards and what makes their fingerprints, apart for test and live."""

import os
from contextlib import suppress
from pathlib import Path

import tink
from tink import aead, json_proto_keyset_format, mac, secret_key_access

aead.register()
mac.register()
PREFIX_BYTES = 5  # of everything Tink makes: a version byte and the key's id
PURPOSES = {"card": aead.aead_key_templates.AES256_GCM, "fingerprint": mac.mac_key_templates.HMAC_SHA256_256BITTAG}


class CannotOpen(Exception):
    """Sealed under another key, for another card, merchant or mode, or changed since."""


class Keyring:
    """`live` picks the mode's own keysets."""

    def __init__(self, keysets: dict[tuple[str, bool], tink.KeysetHandle]) -> None:
        self.aeads = {live: keysets["card", live].primitive(aead.Aead) for live in (False, True)}
        self.macs = {live: keysets["fingerprint", live].primitive(mac.Mac) for live in (False, True)}

    def __repr__(self) -> str:
        return "Keyring()"

    def seal(self, live: bool, context: bytes, clear: bytes) -> bytes:
        return self.aeads[live].encrypt(clear, context)

    def open(self, live: bool, context: bytes, sealed: bytes) -> bytes:
        """Raises CannotOpen."""
        try:
            return self.aeads[live].decrypt(sealed, context)
        except tink.TinkError:
            raise CannotOpen("the card cannot be opened") from None

    def fingerprint(self, live: bool, merchant: str, number: str) -> bytes:
        """The same for the same card of a merchant, until the key is changed; means nothing to another merchant."""
        return self.macs[live].compute_mac(f"{merchant}|{number}".encode())

    def is_fingerprint(self, live: bool, merchant: str, number: str, made: bytes) -> bool:
        """Was it made of this, under the present key or an earlier one?"""
        try:
            self.macs[live].verify_mac(made, f"{merchant}|{number}".encode())
        except tink.TinkError:
            return False
        return True


def key_id(made: bytes) -> int:
    """Of the key that made a ciphertext or a fingerprint."""
    return int.from_bytes(made[1:PREFIX_BYTES])


def open_keyring(folder: Path) -> Keyring:
    """From files beside the data, made at the first start."""
    folder.mkdir(parents=True, exist_ok=True)
    return Keyring({(purpose, live): keyset(folder, purpose, live) for purpose in PURPOSES for live in (False, True)})


def keyset(folder: Path, purpose: str, live: bool) -> tink.KeysetHandle:
    path = folder / f"{purpose}-{'live' if live else 'test'}.json"
    if not path.exists():
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        made = json_proto_keyset_format.serialize(tink.new_keyset_handle(PURPOSES[purpose]), secret_key_access.TOKEN)
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made)
        with suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink()
    return json_proto_keyset_format.parse(path.read_text(), secret_key_access.TOKEN)
