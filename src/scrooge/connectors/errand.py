"""Requests to PSPs that move no money: sent once. Asking again is the errand's own affair."""

import aiohttp
import msgspec

from scrooge.connectors.client import asking, bounded
from scrooge.connectors.connector import Json, Request, Wire


async def exchange(
    http: aiohttp.ClientSession,
    wire: Wire,
    request: Request,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> tuple[int, Json]:
    """Status and document of the answer. Raises whatever the HTTP client and the decoder do."""
    async with asking(http, wire, request, timeout) as reply:
        body = await bounded(reply)
        return reply.status, msgspec.json.decode(body, type=dict) if body else {}
