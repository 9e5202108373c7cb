"""Connections are taken as they come, also by a process whose loop turns slowly."""

import asyncio
import contextlib
import socket

import uvloop

from scrooge.listening import BACKLOG, HANDLES, handles, listeners


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
