"""Whose turn it is: by the batch's pace, and by the slots of the account that a line goes to."""

import asyncio
import time
from collections.abc import Callable, Sequence

from scrooge.connectors.limits import Limits, Slot
from scrooge.flows.batches.line import Later
from scrooge.routing.pacing import Pacer
from scrooge.storage.instruments import Instrument

WAIT_MOST = 0.05  # seconds in line for a turn; longer, and another line goes first


class Turn:
    """Of one line: waits for its turn at the account and BIN, and for a slot, unless that takes long.

    `going`: may lines be begun now? `paced`: it has had its turn before.
    """

    def __init__(self, pacer: Pacer, limits: Limits, going: Callable[[], bool], paced: bool) -> None:
        self.pacer, self.limits, self.going, self.paced = pacer, limits, going, paced

    async def first(
        self, instrument: Instrument, accounts: Sequence[str], until: float | None
    ) -> tuple[Slot, str, tuple[str, ...]]:
        """Raises Later, PspUnavailable, PspOverloaded, DeadlineTooShort."""
        if not self.paced:
            at = time.monotonic()
            self.paced = True
            turn = self.pacer.turn(accounts[0], instrument.iin, at)
            if turn - at > WAIT_MOST:
                raise Later(turn)
            if turn > at:
                await asyncio.sleep(turn - at)
        if not self.going():
            raise Later(time.monotonic())
        return await self.limits.first(accounts, until)
