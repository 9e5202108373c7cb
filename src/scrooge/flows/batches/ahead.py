"""What a batch's lines are paid with, read for many of them at once."""

import time
from collections.abc import Iterable
from typing import Any

from scrooge.domain.mandate import Mandate
from scrooge.storage import instruments, mandates
from scrooge.storage.instruments import Instrument, Reader

FRESH_SECONDS = 2.0


class Ahead(Reader):
    """Mandates and their instruments as they were a moment ago; what was not read ahead is read when it is wanted.

    That a mandate is withdrawn meanwhile is seen by the statement that records the payment.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.agreed: dict[str, tuple[float, Mandate]] = {}  # since when it is known (monotonic seconds); oldest first
        self.cards: dict[str, tuple[float, Instrument]] = {}

    async def read(self, db: Any, mandate_ids: Iterable[str]) -> None:
        """Raises DatabaseUnavailable."""
        at = time.monotonic()
        found = await mandates.read_many(db, set(mandate_ids))
        cards = await instruments.read(db, list({m.instrument for m in found.values()}))
        remember(self.agreed, found, at)
        remember(self.cards, cards, at)

    async def mandate(self, mandate_id: str) -> Mandate | None:
        at, found = self.agreed.get(mandate_id, (0.0, None))
        if found is not None and time.monotonic() - at < FRESH_SECONDS:
            return found
        return await self.reader.mandate(mandate_id)

    async def instrument(self, merchant: str, instrument_id: str) -> Instrument | None:
        at, found = self.cards.get(instrument_id, (0.0, None))
        if found is not None and found.merchant == merchant and time.monotonic() - at < FRESH_SECONDS:
            return found
        return await self.reader.instrument(merchant, instrument_id)


def remember(kept: dict[str, tuple[float, Any]], found: dict[str, Any], at: float) -> None:
    """And forgets what is not fresh any more."""
    for name, value in found.items():
        kept.pop(name, None)
        kept[name] = at, value
    while kept and at - kept[oldest := next(iter(kept))][0] >= FRESH_SECONDS:
        del kept[oldest]
