"""How lines end without a payment: for good, though a worker that is held up may still be about to make one.

Such a worker has lost its chunk and does not know it. Whoever has the chunk now uses up the lines' keys, which waits
for a payment that is being made, and looks once more; behind that nobody can make one.
"""

from collections.abc import Sequence
from typing import Any

from scrooge.flows.batches.line import guard_of_line, known
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.database import redone
from scrooge.storage import chunks
from scrooge.storage.batches import Batch
from scrooge.storage.chunks import Chunk, End, Line


async def told(s: Scrooge, batch: Batch, chunk: Chunk, ends: Sequence[End]) -> None:
    """Writes how lines of a chunk ended. Raises DatabaseUnavailable."""
    paid = [end for end in ends if end.payment is not None]
    if paid:
        await chunks.ended(s.db, batch.id, paid)
    refused = {end.line: end for end in ends if end.payment is None}
    if refused:
        await refuse(s, batch, chunk, refused)


@redone
async def refuse(s: Scrooge, batch: Batch, chunk: Chunk, refused: dict[int, End]) -> None:
    """Where the chunk is another worker's by now, its lines are that one's to judge. Raises DatabaseUnavailable."""
    async with s.db.transaction() as connection:
        if not await chunks.held(connection, chunk):
            return
        lines = [line for line in await chunks.lines(connection, chunk) if line.number in refused]
        await chunks.ended(connection, batch.id, list((refused | await made(connection, batch, lines)).values()))


@redone
async def settled(s: Scrooge, batch: Batch, chunk: Chunk) -> None:
    """A chunk that was begun of a batch that has ended: what has a payment by us is told, the rest was left.

    Raises DatabaseUnavailable.
    """
    async with s.db.transaction() as connection:
        if not await chunks.held(connection, chunk):
            return
        lines = await chunks.lines(connection, chunk)
        ends = [end for end in (await made(connection, batch, lines)).values() if not end.existing]
        await chunks.ended(connection, batch.id, ends)
        await chunks.recount(connection, batch.id, chunk.number, done=True)


async def made(connection: Any, batch: Batch, lines: Sequence[Line]) -> dict[int, End]:
    """Which of them have a payment; the others get none from now on."""
    await chunks.use_up(connection, batch, [guard_of_line(batch, line.number) for line in lines])
    return await known(connection, batch, lines)
