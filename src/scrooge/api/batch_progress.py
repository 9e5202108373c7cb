"""What became of a batch's lines so far."""

from typing import Any

from msgspec import Struct


class Progress(Struct, frozen=True, kw_only=True):
    """Lines by what became of their payments; `rate` is lines a second, of late."""

    existing: int = 0
    captured: int = 0
    declined: int = 0
    failed: int = 0
    processing: int = 0
    refused: int = 0
    rate: float = 0.0

    @property
    def done(self) -> int:
        return self.captured + self.declined + self.failed + self.processing + self.refused


async def progress(db: Any, batch: str) -> Progress:
    """Nothing is sent yet."""
    return Progress()
