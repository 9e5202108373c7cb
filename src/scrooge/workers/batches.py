"""Batches at work: which of them run now, which have ended, and what of the ended ones must still be looked up."""

import uuid
from collections.abc import Awaitable, Callable

import structlog

from scrooge import metrics
from scrooge.domain.batch import Act, Status
from scrooge.flows.batches.alarm import alarm
from scrooge.flows.batches.run import LEASE_SECONDS, Run
from scrooge.flows.batches.settle import settled
from scrooge.flows.scrooge import Scrooge, now
from scrooge.storage import batches, chunks
from scrooge.storage.batches import Batch
from scrooge.storage.chunks import Chunk, Standing

log = structlog.get_logger()
AUTHOR = "worker"
SETTLED_A_TURN, RECOUNTED_A_TURN = 8, 32
Spawn = Callable[[Awaitable[object]], None]


class Batches:
    """Those that this worker has a part in. One for each worker process."""

    def __init__(self) -> None:
        self.worker = uuid.uuid4()
        self.runs: dict[str, Run] = {}

    async def turn(self, s: Scrooge, spawn: Spawn) -> int:
        """Begins what may run now, tells what runs that it still may, and stops the rest."""
        at_work = await batches.in_status(s.db, Status.READY, Status.RUNNING, Status.PAUSED)
        open_now = [b for b in at_work if b.deadline is None or b.deadline > now()]
        for b in at_work:
            if b not in open_now:
                await batches.move(s.db, b, Act.EXPIRE, AUTHOR, "its window closed")
        begun = [b for b in open_now if b.status is not Status.READY and (b.not_before or 0) <= now()]
        standing = await chunks.standing(s.db, begun) if begun else {}
        running = {b.id: b for b in begun if b.status is Status.RUNNING}
        for name, run in self.runs.items():
            if name not in running:
                run.stop()
        for b in begun:
            await self.go_on(s, b, standing[b.id], spawn)
        return 0  # The runs do the work; this only looks.

    async def go_on(self, s: Scrooge, b: Batch, standing: Standing, spawn: Spawn) -> None:
        if not standing.cut and b.lines > 0:
            if b.status is Status.RUNNING:
                await chunks.cut(s.db, b)
            return
        if not standing.work:
            if b.id not in self.runs:
                await batches.move(s.db, b, Act.FINISH, AUTHOR, "every line has ended")
            return
        if b.status is not Status.RUNNING:
            return
        run = self.runs.get(b.id)
        if run is None:
            run = self.runs[b.id] = Run(s, self.worker, b, standing.merchant)
            spawn(self.driven(run))
        run.see(b, standing)
        because = alarm(s, run)
        if because is not None:
            run.stop()
            log.warning("batch_paused", batch=b.id, reason=because)
            await batches.move(s.db, b, Act.ALARM, AUTHOR, because)

    async def driven(self, run: Run) -> None:
        try:
            await run.drive()
        finally:
            del self.runs[run.batch.id]

    async def settle(self, s: Scrooge, spawn: Spawn) -> int:
        """Chunks that were begun of batches that have ended since, by workers that are gone."""
        found = await chunks.begun(s.db, self.worker, LEASE_SECONDS, SETTLED_A_TURN)
        for chunk in found:
            spawn(settle_one(s, chunk))
        return 0


async def settle_one(s: Scrooge, chunk: Chunk) -> None:
    b = await batches.read(s.db, chunk.batch)
    assert b is not None, "batches are never deleted"
    await settled(s, b, chunk)


async def recount(s: Scrooge, spawn: Spawn) -> int:
    """What was in doubt when a chunk was counted, or was to be tried again."""
    for batch, number in await chunks.to_recount(s.db, RECOUNTED_A_TURN):
        await chunks.recount(s.db, batch, number)
    return 0


async def show(s: Scrooge, spawn: Spawn) -> int:
    seen = await chunks.backlog(s.db)
    metrics.BATCHES.labels("running").set(seen["running"])
    metrics.BATCHES.labels("paused").set(seen["paused"])
    metrics.BATCH_LINES_LEFT.set(seen["lines"])
    return 0
