"""The one place that talks to PSPs, and the one place that may conclude `Unknown`.

There are no retries here, at any layer: asking again is a decision of flows/resolve.py.
"""

import socket
import time
from collections.abc import Mapping

import aiohttp
import msgspec
import structlog
from msgspec import Struct, structs

from scrooge.connectors.connector import Command, Connector, Endpoint, Headers, Request
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Outcome, Rejected, Unknown
from scrooge.urls import is_metadata

log = structlog.get_logger()

# aiohttp raises these before any byte of the request has left us, so nothing can have happened there.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
REPLY_MAX = 1 << 20  # bytes


class Answer(Struct, frozen=True):
    """What we concluded, how long it took (seconds) and the HTTP status, for the metrics."""

    outcome: Outcome
    seconds: float
    status: int | None


class Wire(Struct, frozen=True):
    """Where and as whom to send: one connector account at one PSP."""

    connector: Connector
    base_url: str
    credentials: Mapping[str, str]


def client() -> aiohttp.ClientSession:
    """The HTTP client for PSPs: keep-alive pools, no redirects, no proxy from the environment, no retries."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=512, keepalive_timeout=15, socket_factory=socket_for),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        trust_env=False,
    )
    session._retry_connection = False  # aiohttp would silently repeat a GET on a stale connection.
    return session


def socket_for(where: aiohttp.AddrInfoType) -> socket.socket:
    """A PSP is never where clouds hand out credentials, whatever the name of its address resolves to."""
    family, kind, protocol, _, address = where
    if is_metadata(str(address[0])):
        raise PermissionError("a PSP is not a metadata service")
    return socket.socket(family, kind, protocol)


async def send(
    http: aiohttp.ClientSession,
    wire: Wire,
    endpoint: Endpoint,
    command: Command,
    request: Request,
    *,
    first: bool,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> Answer:
    """Ask once. `timeout` is in seconds and covers everything.

    Only the first send of a request may conclude `Rejected`: on a replay, an error that is not proven to be
    the stored original answer says nothing about what the first one did.
    """
    started = time.monotonic()
    status: int | None = None
    try:
        headers = {**wire.connector.headers(wire.credentials, request)}
        if request.body:
            headers["Content-Type"] = request.content_type
        async with http.request(
            request.method,
            wire.base_url + request.path,
            data=request.body or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=timeout),
            allow_redirects=False,
        ) as reply:
            status = reply.status
            body = await bounded(reply)
            names = {k.lower(): v for k, v in reply.headers.items()}
        outcome = read(wire.connector, endpoint, command, status, names, body, first)
    except NEVER_SENT as error:
        reason = f"not sent: {type(error).__name__}"
        outcome = Rejected(reason) if first else Unknown(reason)
    except Exception as error:  # The request may have arrived: whatever went wrong, we do not know.
        outcome = Unknown(f"{type(error).__name__} while asking")
        log.warning("psp_answer_lost", error=type(error).__name__, reference=command.reference)
    return Answer(outcome, time.monotonic() - started, status)


async def bounded(reply: aiohttp.ClientResponse) -> bytes:
    """The whole body, unless it is longer than any PSP's answer."""
    body = bytearray()
    async for chunk in reply.content.iter_chunked(65536):
        body += chunk
        if len(body) > REPLY_MAX:
            raise ValueError("the reply is too long")
    return bytes(body)


def read(
    connector: Connector,
    endpoint: Endpoint,
    command: Command,
    status: int,
    headers: Headers,
    body: bytes,
    first: bool,
) -> Outcome:
    """What a reply means. Never raises: what cannot be read is unknown, loudly."""
    if status >= 500:
        return Unknown(f"HTTP {status}", stored=connector.replayed(headers))
    try:
        document = msgspec.json.decode(body) if body else {}
        outcome = endpoint.read(command, status, headers, document)
    except Exception as error:
        log.error(
            "psp_reply_unreadable",
            error=type(error).__name__,
            status=status,
            connector=connector.name,
            reference=command.reference,
            operation=command.operation,
        )
        return Unknown(f"HTTP {status}, unreadable: {type(error).__name__}", reference_in(body))
    if isinstance(outcome, Approved):
        return checked(command, outcome)
    if isinstance(outcome, Rejected) and not first and not connector.replayed(headers):
        return Unknown(f"on a replay: {outcome.reason}", outcome.psp_reference)
    return outcome


def checked(command: Command, outcome: Approved) -> Outcome:
    """An approval of another amount or currency than asked is not believed, unless it is a partial approval."""
    got, asked = outcome.amount, command.amount
    if got is None or got == asked:
        return structs.replace(outcome, amount=got or asked)
    smaller = got.currency == asked.currency and 0 < got.minor < asked.minor
    if outcome.partial and smaller and command.operation is Operation.AUTHORIZE:
        return outcome
    log.critical(
        "psp_amount_differs",
        reference=command.reference,
        asked=str(asked),
        got=str(got),
        psp_reference=outcome.psp_reference,
    )
    return Unknown(f"the PSP approved {got}, asked was {asked}", outcome.psp_reference, differs=True)


def reference_in(body: bytes) -> str | None:
    """The PSP's id out of a reply we cannot read otherwise: it must not be lost."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    found = document.get("pspReference") or document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str) and len(found) <= 255 else None
