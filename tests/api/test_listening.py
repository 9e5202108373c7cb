"""Connections are taken as they come, also by a process whose loop turns slowly."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import uvloop

from scrooge.listening import BACKLOG, HANDLES, handles, listeners
from tests.conftest import free_port, wait_for


async def turns_until_taken(callers: int) -> int:
    """How often the loop turns until all who are connected in the kernel have reached us."""
    taken: list[asyncio.BaseTransport] = []

    class Caller(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken.append(transport)

    async with contextlib.AsyncExitStack() as stack:
        loop, places = asyncio.get_running_loop(), listeners("127.0.0.1", 0)
        for handle in handles(places):
            await stack.enter_async_context(await loop.create_server(Caller, sock=handle, backlog=BACKLOG))
        for _ in range(callers):
            stack.enter_context(socket.create_connection(places[0].getsockname()))
        turns = 0
        while len(taken) < callers:
            await asyncio.sleep(0)
            turns += 1
        for transport in taken:
            transport.close()
        return turns


def test_a_turn_of_the_loop_takes_many_connections():
    callers = 4 * HANDLES
    assert uvloop.run(turns_until_taken(callers)) < callers / 4


def test_no_process_goes_on_serving_when_the_one_that_listens_is_killed(fresh_database_url: str, tmp_path: Path):
    """Nobody would stop those, and they would answer with an old version beside the new one."""
    port = free_port()
    env = {**os.environ, "SCROOGE_DATABASE_URL": fresh_database_url, "SCROOGE_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "scrooge", "serve", "--port", str(port), "--workers", "2"]
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/healthz", process)
    alive = psutil.Process(process.pid).children()
    assert len(alive) >= 2
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while alive and time.monotonic() < until:
        _, alive = psutil.wait_procs(alive, timeout=1)
    assert not alive
