"""How `serve` takes connections, comes and goes: several may listen on one port, and the one that ends loses no request
that it took.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

BACKLOG = 2048
LINGER_SECONDS = 1.0  # A request may be on its way on a connection that looks idle to us.
# libuv takes one connection from a listening handle in each turn of the loop. A busy process turns ten times a second,
# and callers would stand for half a minute in the kernel's line, where no admission sees them: hence many handles.
HANDLES = 32
CLOSE = (b"connection", b"close")


def listeners(host: str, port: int) -> list[socket.socket]:
    """On every address of the host; the next generation of `serve` may listen there too. Raises OSError."""
    found, refused = [], OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        place = None
        try:
            place = socket.socket(family, kind, protocol)
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            place.bind(address)
            found.append(place)
        except OSError as error:  # A name like localhost may have addresses that this machine does not.
            refused = error
            if place is not None:
                place.close()
    if not found:
        raise refused
    return found


def handles(listening: list[socket.socket]) -> list[socket.socket]:
    """Each socket so many times that a turn of the loop takes all who wait."""
    return [handle for place in listening for handle in (place, *(place.dup() for _ in range(HANDLES - 1)))]


class Protocol(HttpToolsProtocol):
    """Ends a kept connection by saying so in an answer; one on which nothing is asked, after a while."""

    def shutdown(self) -> None:
        headers = self.server_state.default_headers  # shared by every answer of this process
        if CLOSE not in headers:
            headers.append(CLOSE)
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS, self.end)
        else:
            self.cycle.keep_alive = False

    def end(self) -> None:
        """What was asked meanwhile is answered first, and that answer ends the connection."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Generation(Multiprocess):
    """Several processes on one socket, which nobody may hold open once they stop taking connections. What they
    are given at their start is looked after here, twice a second."""

    def __init__(self, config: Config, sockets: list[socket.socket], tend: Callable[[], object]) -> None:
        super().__init__(config, sockets)
        self.tend = tend

    def keep_subprocess_alive(self) -> None:
        self.tend()
        super().keep_subprocess_alive()

    def terminate_all(self) -> None:
        for held in self.sockets:
            held.close()
        super().terminate_all()


@contextmanager
def counted_together(workers: int) -> Iterator[None]:
    """Several processes on one port answer /metrics for all of them, through files that prometheus-client reads."""
    if workers == 1 or "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="scrooge-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def nothing() -> None:
    pass


def listen(
    app: str | Callable[[], Any], sockets: list[socket.socket], workers: int, tend: Callable[[], object] = nothing,
    **options: Any,
) -> None:  # fmt: skip
    """Blocks until SIGTERM or SIGINT. `app` is named, or a thing that processes can be given at their start."""
    config = Config(app, http=Protocol, workers=workers, backlog=BACKLOG, env_file=None, **options)
    sockets = handles(sockets)
    with contextlib.suppress(KeyboardInterrupt):
        if workers > 1:
            Generation(config, sockets, tend).run()
        else:
            Server(config).run(sockets)
