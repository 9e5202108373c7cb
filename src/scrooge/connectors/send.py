"""The one place that talks to PSPs, and the one place that may conclude `Unknown`.

There are no retries here, at any layer: asking again is a decision of flows/resolve.py.
"""

import socket
import time
from collections.abc import Mapping
from enum import Enum

import aiohttp
import msgspec
import structlog
from msgspec import Struct, structs

from scrooge.connectors.connector import Command, Connector, Endpoint, Headers, Request
from scrooge.connectors.kit import KeyConflict, StillRunning
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Outcome, Rejected, Unknown
from scrooge.unanswered import why
from scrooge.urls import is_metadata

log = structlog.get_logger()

# aiohttp raises these before any byte of the request has left us, so nothing can have happened there.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
REPLY_MAX = 1 << 20  # bytes
EXPLAINED: dict[type[Exception], str] = {
    StillRunning: "the first request is still running",
    KeyConflict: "the key was used for another request",
}


class Health(Enum):
    """What an answer says about the PSP itself, whatever it says about the payment."""

    GOOD = "good"
    BUSY = "busy"  # it asks us to send less
    FAILED = "failed"  # not reached, 5xx, or nothing readable
    LATE = "late"  # nothing in the time it had


class Answer(Struct, frozen=True):
    """What we concluded, how long it took (seconds), the HTTP status for the metrics, and how the PSP is."""

    outcome: Outcome
    seconds: float
    status: int | None
    health: Health = Health.GOOD


class Wire(Struct, frozen=True):
    """Where and as whom to send: one connector account at one PSP."""

    connector: Connector
    base_url: str
    credentials: Mapping[str, str]


def client() -> aiohttp.ClientSession:
    """The HTTP client for PSPs: keep-alive pools, no redirects, no proxy from the environment, no retries.

    How many requests are under way is limited by the bulkheads, before anything is recorded; not here, after.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15, socket_factory=socket_for),
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
        outcome, health = read(wire.connector, endpoint, command, status, names, body, first)
    except NEVER_SENT as error:
        reason = f"not sent: {why(error)}"
        outcome, health = Rejected(reason) if first else Unknown(reason), Health.FAILED
        log.warning("psp_not_reached", error=type(error).__name__, reference=command.reference)
    except Exception as error:  # The request may have arrived: whatever went wrong, we do not know.
        outcome = Unknown(why(error))
        health = Health.LATE if isinstance(error, TimeoutError) else Health.FAILED
        log.warning("psp_answer_lost", error=type(error).__name__, reference=command.reference)
    return Answer(outcome, time.monotonic() - started, status, health)


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
) -> tuple[Outcome, Health]:
    """What a reply means, and what it says about the PSP. Never raises: what cannot be read is unknown, loudly."""
    if status >= 500:
        stored = connector.replayed(headers)  # A failure of then says nothing about now.
        return Unknown(f"HTTP {status}", stored=stored), Health.GOOD if stored else Health.FAILED
    health = Health.BUSY if status == 429 else Health.GOOD
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
        explained = next((words for kind, words in EXPLAINED.items() if isinstance(error, kind)), None)
        unknown = Unknown(f"HTTP {status}: {explained or 'the answer cannot be read'}", reference_in(body))
        return unknown, health if explained else Health.FAILED
    if isinstance(outcome, Approved):
        outcome = checked(command, outcome)
    elif isinstance(outcome, Rejected) and not first and not connector.replayed(headers):
        outcome = Unknown(f"on a replay: {outcome.reason}", outcome.psp_reference)
    return outcome, health


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
