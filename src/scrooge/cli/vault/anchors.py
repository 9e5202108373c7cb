"""Heads of the vault's audit as they were seen before: what nobody can make up anew without being found out."""

from pathlib import Path

import msgspec
from msgspec import Struct

from scrooge.errors import SettingsError


class Anchors(Struct):
    """Of what `scrooge audit verify --json` printed, the part that matters here."""

    heads: dict[str, tuple[int, str]]


def anchors_in(path: Path | None) -> dict[str, tuple[int, str]] | None:
    """Raises SettingsError."""
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Anchors).heads
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"--anchors takes what `scrooge audit verify --json` printed: {error}") from None
