"""Real parts for every test: a PostgreSQL server, a migrated database, the sandbox as a process of its own."""

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings

from scrooge import logs
from scrooge.postgres.embedded import start
from scrooge.storage.migrate import migrate
from tests.births import Born, born

if TYPE_CHECKING:
    from tests.world import World

os.environ.pop("SCROOGE_DATABASE_URL", None)
# The build always tries the same examples; at the desk they are new ones every time.
settings.register_profile("build", derandomize=True)
settings.register_profile("thorough", max_examples=1000)  # make test ARGS="--hypothesis-profile=thorough tests/api"
if os.environ.get("CI"):
    settings.load_profile("build")
logs.configure("error", "json")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server we may make databases on: SCROOGE_TEST_DATABASE_URL, else the embedded one."""
    given = os.environ.get("SCROOGE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="scrooge-test-"))
    server = start(folder)
    asyncio.run(without_waiting_for_the_disk(server.url))
    yield server.url
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def without_waiting_for_the_disk(url: str) -> None:
    """Our processes die in tests, this machine does not; drills have servers of their own, which do wait."""
    connection = await asyncpg.connect(url)
    for setting in ("fsync", "full_page_writes"):
        await connection.execute(f"ALTER SYSTEM SET {setting} = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


def named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def make_database(server_url: str, template: str | None = None) -> str:
    name = f"scrooge_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    await connection.close()
    return named(server_url, name)


async def drop_database(server_url: str, url: str) -> None:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")
    await connection.close()


@pytest.fixture(scope="session")
async def template_url(server_url: str) -> AsyncIterator[str]:
    """A migrated database nobody connects to: others are copied from it in a moment."""
    url = await make_database(server_url)
    await migrate(url)
    yield url
    await drop_database(server_url, url)


@pytest.fixture(scope="session")
async def database_url(server_url: str, template_url: str) -> AsyncIterator[str]:
    """The migrated database that tests share; they keep apart by merchant."""
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    yield url
    await drop_database(server_url, url)


@pytest.fixture
async def fresh_database_url(server_url: str, template_url: str) -> AsyncIterator[str]:
    """A migrated database for one test alone: to audit, to break, to count in."""
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    yield url
    await drop_database(server_url, url)


def ports() -> Iterator[int]:
    """None twice, and none that another worker of this run has: it is somebody's before its process is there, and while
    that is dead. Below those of outgoing connections (ip(7)), which would take it then."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = range(12_000 + worker, 32_000, workers)
    yield from random.SystemRandom().sample(mine, len(mine))


FREE = ports()


def free_port() -> int:
    for port in FREE:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port was taken once")


def wait_for(url: str, process: subprocess.Popen[bytes] | Born, seconds: float = 90) -> None:
    """Until the URL answers 200; fails when the process ends first."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"ended with {process.returncode} before it answered {url}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")


@contextlib.contextmanager
def sandbox(latency_ms: float = 2.0) -> Iterator[str]:
    """The sandbox PSPs in a process of their own: their URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = born("sandbox", port=port, latency_ms=latency_ms, notify_delay_ms=20.0)
    try:
        wait_for(f"{url}/healthz", process)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    """The sandbox PSPs, quick and without faults; a test that turns faults on turns them off again."""
    with sandbox() as url:
        yield url


@contextlib.asynccontextmanager
async def opened(server_url: str, template_url: str, folder: Path) -> AsyncIterator["World"]:
    """A whole Scrooge with a database and sandbox PSPs that nobody else has."""
    from tests.world import World

    url = await make_database(server_url, urlsplit(template_url).path[1:])
    with sandbox() as psps:
        world = World(url, psps, str(folder))
        try:
            await world.open()
            yield world
        finally:
            await world.close()
    await drop_database(server_url, url)


@pytest.fixture(scope="session")
async def world(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["World"]:
    """A whole Scrooge, shared by the end-to-end tests; each test makes payments of its own."""
    async with opened(server_url, template_url, tmp_path_factory.mktemp("world")) as world:
        yield world
