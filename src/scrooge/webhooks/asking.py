"""Asks a service of somebody's choice a question, for a few hundred milliseconds: to a checked address, with no
redirect and no proxy, and reads no more of the answer than it may be long.
"""

import time
from collections.abc import Mapping

import aiohttp
from msgspec import Struct

from scrooge.webhooks.addresses import Lookup, Resolver, socket
from scrooge.webhooks.sender import reason_of, session

AGENT = "Scrooge-Risk/1"
# A connection that was kept may be closed in the moment it is used again. Asking twice asks the same question.
STALE = (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError)


class Heard(Struct, frozen=True):
    """`failed` says why there is no answer; `body` is that of a 200."""

    body: bytes
    failed: str | None
    milliseconds: int


class Asker:
    """The HTTP client for questions. Connections are kept for some seconds, at the address that was checked."""

    def __init__(self, *, lookup: Lookup = socket.getaddrinfo) -> None:
        self.public = Resolver(loopback=False, lookup=lookup)
        self.local = Resolver(loopback=True, lookup=lookup)
        self.sessions: dict[bool, aiohttp.ClientSession] = {}

    def session(self, loopback: bool) -> aiohttp.ClientSession:
        """Made when it is needed first: most processes never ask."""
        if loopback not in self.sessions:
            self.sessions[loopback] = session(self.local if loopback else self.public, keep=True)
        return self.sessions[loopback]

    async def ask(
        self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, most: int, loopback: bool
    ) -> Heard:
        """Never raises for what a service does. `most`: bytes of the answer; `loopback`: this machine may be called."""
        started = time.monotonic()
        answer, failed = b"", None
        for again in (True, False):
            left = seconds - (time.monotonic() - started)
            try:
                answer, failed = await self.once(url, headers, body, left, most, loopback)
                break
            except STALE as problem:
                failed = reason_of(problem)
                if not again or isinstance(problem, aiohttp.ClientConnectorError):
                    break
            except Exception as problem:
                failed = reason_of(problem)
                break
        return Heard(answer, failed, round((time.monotonic() - started) * 1000))

    async def once(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float, most: int, loopback: bool
    ) -> tuple[bytes, str | None]:
        async with self.session(loopback).post(
            url,
            data=body,
            headers={**headers, "Content-Type": "application/json", "User-Agent": AGENT},
            timeout=aiohttp.ClientTimeout(total=max(0.001, seconds)),
            allow_redirects=False,
        ) as reply:
            if reply.status != 200:
                return b"", f"answered {reply.status}"
            answer = bytearray()
            async for chunk in reply.content.iter_any():
                answer += chunk
                if len(answer) > most:
                    reply.close()
                    return b"", "the answer is too long"
            return bytes(answer), None

    async def close(self) -> None:
        for http in self.sessions.values():
            await http.close()
        for resolver in (self.public, self.local):
            await resolver.close()
