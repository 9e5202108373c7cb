"""What an upload leaves to others: a validation that nobody ended, and lines that nobody asks for any more."""

from collections.abc import Awaitable, Callable

from scrooge.domain.batch import Status
from scrooge.flows.batches.upload import settle
from scrooge.flows.scrooge import Scrooge, now
from scrooge.storage import batch_lines, batches

PATIENCE = 15_000_000  # microseconds; whoever took the input in does it at once
PIECES_A_TURN = 64

Spawn = Callable[[Awaitable[object]], None]


async def end_validation(s: Scrooge, spawn: Spawn) -> int:
    for batch in await batches.in_status(s.db, Status.VALIDATING):
        if batch.changed_at < now() - PATIENCE:
            await settle(s, batch)
    return 0


async def forget_batch_lines(s: Scrooge, spawn: Spawn) -> int:
    """A full turn is followed by another."""
    return await batch_lines.forget(s.db, PIECES_A_TURN)
