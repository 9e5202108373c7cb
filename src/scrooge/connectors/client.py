"""The HTTP client with which PSPs and the vault are asked: it asks once, and goes nowhere else."""

import socket
from contextlib import AbstractAsyncContextManager

import aiohttp

from scrooge.connectors.connector import Request, Wire
from scrooge.urls import is_metadata

# aiohttp raises these before any byte of the request has left us, so nothing can have happened there.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
REPLY_MAX = 1 << 20  # bytes


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


def asking(
    http: aiohttp.ClientSession,
    wire: Wire,
    request: Request,
    timeout: float,
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """The request on its way to the PSP, once; `timeout` is in seconds and covers everything."""
    headers = {**wire.connector.headers(wire.credentials, request)}
    if request.body:
        headers["Content-Type"] = request.content_type
    return http.request(
        request.method,
        wire.base_url + request.path,
        data=request.body or None,
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=timeout),
        allow_redirects=False,
    )


async def bounded(reply: aiohttp.ClientResponse) -> bytes:
    """The whole body, unless it is longer than any PSP's answer."""
    body = bytearray()
    async for chunk in reply.content.iter_chunked(65536):
        body += chunk
        if len(body) > REPLY_MAX:
            raise ValueError("the reply is too long")
    return bytes(body)
