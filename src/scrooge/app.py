"""Composition: settings become the running thing. The only place that knows every part."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvloop

from scrooge import logs
from scrooge.api.app import create_api
from scrooge.connectors.client import client
from scrooge.connectors.registry import connectors
from scrooge.connectors.vault_client import vault_of
from scrooge.errors import SettingsError
from scrooge.flows.remembering import Remembering
from scrooge.flows.scrooge import Scrooge
from scrooge.listening import counted_together, listen, listeners
from scrooge.postgres.database import connect
from scrooge.serving import Serving, collect_less, end_with_parent
from scrooge.settings import Settings, load
from scrooge.storage.directory import Directory
from scrooge.storage.migrate import migrate
from scrooge.storage.sealing import sealer_of
from scrooge.storage.writer import open_writer
from scrooge.webhooks.sender import Sender
from scrooge.workers.loop import work

log = structlog.get_logger()
DRAIN_SECONDS = 25
SHOW_SECONDS = 1.0


@asynccontextmanager
async def open_scrooge(settings: Settings) -> AsyncIterator[Scrooge]:
    """Everything a serving process or a worker needs, closed in order at the end.

    Raises SettingsError, DatabaseUnavailable.
    """
    url = settings.database_url
    if url is None:
        raise SettingsError("no database: set SCROOGE_DATABASE_URL, or let the command line start one")
    installed = connectors()
    sealer, vault = sealer_of(settings), vault_of(settings)
    db = await connect(url, size=settings.database_pool)
    writer = await open_writer(url)
    http = client()
    sender = Sender()

    async def schema_behind() -> list[str]:
        return (await migrate(url, check=True)).behind

    live_allowed = settings.credentials_key is not None and not settings.embedded
    directory = Directory(db, installed, sealer, live_allowed=live_allowed)
    s = Scrooge(settings, db, writer, http, installed, directory, schema_behind, sender, vault)
    tasks: list[asyncio.Task[None]] = []
    shared = Remembering(db, s.learning)
    try:
        await s.routing.refresh()  # Nothing is routed before the policy is known.
        tasks += [asyncio.create_task(show(s)), asyncio.create_task(s.routing.follow())]
        tasks += [asyncio.create_task(shared.run()), asyncio.create_task(s.risk.run())]
        yield s
    finally:
        for task in tasks:
            task.cancel()
        await shared.close()
        await s.risk.close()
        await sender.close()
        await http.close()
        await writer.close()
        await db.close()


async def show(s: Scrooge) -> None:
    """Sets the gauges of this process's own limits."""
    while True:
        s.limits.show()
        await asyncio.sleep(SHOW_SECONDS)


def run_worker(settings: Settings) -> None:
    """Blocks until SIGTERM or SIGINT; what was begun is finished first."""
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(worker(settings))


async def worker(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_scrooge(settings) as s:
        collect_less()
        log.info("worker_started")
        await work(s, stop)
        log.info("worker_stopped")


def run_serve(settings: Settings, workers: int) -> None:
    """Blocks until SIGTERM or SIGINT; requests that were accepted are finished first."""
    logs.configure(settings.log_level, settings.log_format)
    sealer_of(settings)  # A key that cannot be used is told before anything starts.
    vault_of(settings)
    with counted_together(workers):
        serve(settings, workers)


def serve(settings: Settings, workers: int) -> None:
    try:
        sockets = listeners(settings.host, settings.port)
    except OSError as error:
        raise SettingsError(f"SCROOGE_PORT: {settings.host}:{settings.port} cannot be listened on: {error}") from None
    listen(
        "scrooge.app:serving",
        sockets,
        workers,
        factory=True,
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def serving() -> Serving[Scrooge]:
    """The ASGI application of one serving process, from the environment (uvicorn's workers start here)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with_parent(parent.pid or 0)
    settings = load(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    return Serving(lambda: open_scrooge(settings), create_api)
