"""The guard of connections to URLs that other people choose: a name is resolved, every address it has is checked,
and the connection goes to one that was.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from scrooge.errors import BadUrl
from scrooge.urls import may_call, parts_of

# Lookups have threads of their own: a name server that does not answer must not hold up anybody else's names.
THREADS = 32
LOOKUP_SECONDS = 3.0

Lookup = Callable[..., list[Any]]  # socket.getaddrinfo, or a test's


class AddressRefused(OSError):
    """The name has an address that we do not call."""


class Resolver(AbstractResolver):
    """Resolves a name and refuses it whole when any of its addresses may not be called."""

    def __init__(self, *, loopback: bool, lookup: Lookup = socket.getaddrinfo) -> None:
        self.loopback, self.lookup = loopback, lookup
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.threads, self.lookup, host, port, family, socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            if not may_call(address[0], loopback=self.loopback):
                raise AddressRefused(f"{host} has an address that is not public")
        return [
            ResolveResult(
                hostname=host, host=address[0], port=port, family=kind, proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)

    def socket_for(self, where: AddrInfoType) -> socket.socket:
        """The last look, at the very address that is about to be connected to, however it was written."""
        family, kind, protocol, _, address = where
        if not may_call(str(address[0]), loopback=self.loopback):
            raise AddressRefused("the address is not public")
        return socket.socket(family, kind, protocol)

    async def check(self, url: str, name: str) -> None:
        """Raises BadUrl when the name already has an address that would be refused; one without any may get some."""
        host = parts_of(url, name).hostname or ""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                await self.resolve(host)
        except AddressRefused:
            raise BadUrl(f"{name} must lead to public addresses only", param=name) from None
        except (OSError, TimeoutError, UnicodeError):
            return
