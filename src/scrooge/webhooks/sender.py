"""Posts webhooks: one try, to a checked address, with no redirect, no proxy and a short look at the reply."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from msgspec import Struct

from scrooge.unanswered import why
from scrooge.webhooks.addresses import AddressRefused, Lookup, Resolver, socket

READ_MAX = 4096  # bytes of a reply that are read at all
KEPT_MAX = 512  # characters of it that are kept for the operator
DIGITS = re.compile(r"(?:\d[ -]?){12,}\d")  # What could be a card number is not kept, whoever sends it.
AGENT = "Scrooge-Webhooks/1"


class Reply(Struct, frozen=True):
    """What became of one try. `status` None: there was no answer, `error` says why and `cause` names it for the log."""

    status: int | None
    error: str | None
    text: str
    retry_after: float | None  # seconds
    milliseconds: int
    cause: str | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """The HTTP client for webhooks. `lanes`: the endpoints this process is sending to, and whether each fails."""

    def __init__(self, *, lookup: Lookup = socket.getaddrinfo) -> None:
        self.public = Resolver(loopback=False, lookup=lookup)
        self.local = Resolver(loopback=True, lookup=lookup)
        self.sessions = {r.loopback: session(r) for r in (self.public, self.local)}
        self.lanes: dict[str, bool] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, loopback: bool) -> Reply:
        """Never raises for what a receiver does. `loopback`: this machine may be called too."""
        started = time.monotonic()
        status: int | None = None
        error: str | None = None
        cause: str | None = None
        text, retry_after = "", None
        try:
            async with self.sessions[loopback].post(
                url,
                data=body,
                headers={**headers, "Content-Type": "application/json", "User-Agent": AGENT},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as reply:
                status = reply.status
                retry_after = seconds_of(reply.headers.get("Retry-After"))
                text = kept(await reply.content.read(READ_MAX))
        except Exception as problem:
            # After a status the receiver has decided; that its words did not arrive changes nothing.
            if status is None:
                error, cause = reason_of(problem), type(problem).__name__
        return Reply(status, error, text, retry_after, round((time.monotonic() - started) * 1000), cause)

    async def close(self) -> None:
        for http in self.sessions.values():
            await http.close()
        for resolver in (self.public, self.local):
            await resolver.close()


def session(resolver: Resolver, *, keep: bool = False) -> aiohttp.ClientSession:
    """A connection is used once, so that every delivery resolves and checks its address anew; or kept for a while."""
    http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            resolver=resolver,
            use_dns_cache=False,
            socket_factory=resolver.socket_for,
            force_close=not keep,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # A small reply must not become a large one.
        trust_env=False,
    )
    http._retry_connection = False
    return http


def reason_of(problem: Exception) -> str:
    """A short reason for an operator, without the URL, which may hold a secret of the merchant's."""
    cause = getattr(problem, "os_error", problem)
    if isinstance(cause, AddressRefused):
        return "address refused: not public"
    return why(problem)


def kept(reply: bytes) -> str:
    text = reply.decode(errors="replace").replace("\0", "")
    return DIGITS.sub("[digits]", text)[:KEPT_MAX]


def seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds, whether it came as a number or as a date; None for nothing readable."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after.strip()[:9])
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
