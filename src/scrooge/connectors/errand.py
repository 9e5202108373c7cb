"""Requests to PSPs that move no money: sent once. Asking again is the errand's own affair."""

import aiohttp
import msgspec

from scrooge.connectors.connector import Json, Request
from scrooge.connectors.send import Wire, bounded


async def exchange(
    http: aiohttp.ClientSession,
    wire: Wire,
    request: Request,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> tuple[int, Json]:
    """Status and document of the answer. Raises whatever the HTTP client and the decoder do."""
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
        body = await bounded(reply)
        return reply.status, msgspec.json.decode(body, type=dict) if body else {}
