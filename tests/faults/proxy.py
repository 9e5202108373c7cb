"""A TCP proxy that cuts: after so many bytes in one direction, or after a pattern went by; or it delivers twice."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from msgspec import Struct

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Target = Callable[[], "asyncio.Future[Streams]"]
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


class Cut(Struct):
    """Resets both sides of the first connection that carries more than `after` bytes "up" (to the server) or "down";
    with a pattern, `after` counts from the end of its first occurrence on the way up. `twice`: no cut, but what goes up
    is delivered a second time over a connection of its own. `struck` says that it happened."""

    toward: str
    after: int = 0
    pattern: bytes = b""
    twice: bool = False
    struck: bool = False


class Proxy:
    """Listens on a port of its own; `cut` is what happens next, None: nothing."""

    def __init__(self, host: str = "", port: int = 0, path: str = "") -> None:
        self.host, self.port, self.path = host, port, path
        self.cut: Cut | None = None

    async def open(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self.server.close()

    async def upstream(self) -> Streams:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection(self.host, self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self.upstream()
        except OSError:
            reset(writer)
            return
        Connection(self, (reader, writer), there)


class Connection:
    def __init__(self, proxy: Proxy, here: Streams, there: Streams) -> None:
        self.proxy, self.writers = proxy, (here[1], there[1])
        self.cut: Cut | None = None  # the one that the rest counts for
        self.passed, self.armed = 0, False
        self.copy: bytearray | None = None
        self.tasks = [
            asyncio.create_task(self.pump("up", here[0], there[1])),
            asyncio.create_task(self.pump("down", there[0], here[1])),
        ]

    async def pump(self, toward: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                may_pass = self.cut_at(toward, data)
                writer.write(data[:may_pass])
                if may_pass is not None:
                    await asyncio.sleep(0.01)  # What may pass leaves before the reset overtakes it.
                    for end in self.writers:
                        reset(end)
                    return
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    def cut_at(self, toward: str, data: bytes) -> int | None:
        """How much of this may pass before the connection is cut; None: it is not cut here."""
        cut = self.proxy.cut
        if cut is None or (cut.struck and self.copy is None):
            return None
        if cut is not self.cut:
            self.cut, self.passed, self.armed = cut, 0, False
        begun = 0
        if toward == "up" and not self.armed and cut.pattern in data:
            self.armed, begun = True, data.index(cut.pattern) + len(cut.pattern)
            if cut.twice:
                cut.struck = True
                self.copy = bytearray()
                self.tasks.append(asyncio.create_task(self.again(self.copy)))
        if toward == "up" and self.copy is not None:
            self.copy += data
        if cut.struck:
            return None
        if toward != cut.toward or not self.armed:  # Before it is asked, a server says nothing we watch for.
            return None
        room = begun + cut.after - self.passed
        if len(data) <= room:
            self.passed += len(data) - begun
            return None
        cut.struck = True
        return room

    async def again(self, copied: bytearray) -> None:
        """The same bytes over another connection; whatever is answered is read and forgotten."""
        await asyncio.sleep(0.02)  # A request may come in two pieces.
        self.copy = None
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await self.proxy.upstream()
            writer.write(bytes(copied))
            await asyncio.wait_for(reader.read(1 << 16), 3)
            reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
