"""Runs the jobs of the table, each in its own loop: claim, run, repeat; bounded, and drained on the way out."""

import asyncio
from collections.abc import Awaitable

import structlog

from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import JOB_FAILURES
from scrooge.workers.table import BATCH, JOBS, Job

log = structlog.get_logger()
AT_ONCE = 128  # items in hand per job
PAUSE_AFTER_ERROR = 1.0


async def work(s: Scrooge, stop: asyncio.Event) -> None:
    """Until `stop` is set; what was begun is finished first."""
    await asyncio.gather(*(loop(s, job, stop) for job in JOBS))


async def loop(s: Scrooge, job: Job, stop: asyncio.Event) -> None:
    """One job. An item that fails is logged and comes back by its own schedule; it never stops the others."""
    running: set[asyncio.Task[object]] = set()

    async def guarded(item: Awaitable[object]) -> object:
        try:
            return await item
        except Exception as error:
            JOB_FAILURES.labels(job.name).inc()
            log.error("job_item_failed", job=job.name, error=type(error).__name__, exc_info=True)
            return None

    def spawn(item: Awaitable[object]) -> None:
        task = asyncio.ensure_future(guarded(item))
        running.add(task)
        task.add_done_callback(running.discard)

    while not stop.is_set():
        taken = 0
        try:
            if len(running) < AT_ONCE:
                taken = await job.run(s, spawn)
        except Exception as error:
            JOB_FAILURES.labels(job.name).inc()
            log.error("job_failed", job=job.name, error=type(error).__name__, exc_info=True)
            await nap(stop, PAUSE_AFTER_ERROR)
        if running and len(running) >= AT_ONCE:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED, timeout=1)
        elif taken < BATCH:
            await nap(stop, job.every_seconds)
    if running:
        await asyncio.wait(running)


async def nap(stop: asyncio.Event, seconds: float) -> None:
    """Sleeps, or wakes when it is time to stop."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
