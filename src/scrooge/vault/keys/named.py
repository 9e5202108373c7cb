"""The key-encryption key that SCROOGE_VAULT_KEK names."""

from pathlib import Path

from scrooge.errors import SettingsError
from scrooge.vault.keys.kek import FILE, KMS, SHARES, Kek, of_file


def of_uri(uri: str, *, make: bool = False) -> Kek | None:
    """None for shares: custodians must bring it. Raises SettingsError."""
    if uri.startswith(FILE) and uri != FILE:
        return of_file(Path(uri.removeprefix(FILE)), make=make)
    if uri.startswith(KMS):
        from scrooge.vault.keys.gcp import InKms  # Importing Google's client takes seconds.

        return InKms.of(uri)
    if uri == SHARES:
        return None
    raise SettingsError("SCROOGE_VAULT_KEK must be file:PATH, gcp-kms://projects/... or shares:")
