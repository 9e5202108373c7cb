"""The vault's one way out: a filled request to a PSP, once, with nothing repeated by itself."""

import time

import aiohttp
from msgspec import Struct

from scrooge.connectors.client import NEVER_SENT, bounded
from scrooge.unanswered import why

DROPPED = frozenset({"transfer-encoding", "content-encoding", "content-length", "connection", "set-cookie", "date"})


class Sent(Struct, frozen=True, omit_defaults=True):
    """What became of it: "answered", "not_sent" (nothing left us) or "lost" (it may have arrived).

    `seconds` are the PSP's. `stored`: it was answered before, and nothing was sent now.
    """

    outcome: str
    seconds: float
    status: int = 0
    headers: dict[str, str] = {}
    body: str = ""
    reason: str = ""
    late: bool = False
    stored: bool = False


async def send(
    http: aiohttp.ClientSession, method: str, url: str, headers: dict[str, str], body: bytes, seconds: float
) -> Sent:
    """Never raises for what a PSP does. The reply is as it came: whoever called takes the card out of it."""
    started = time.monotonic()
    try:
        async with http.request(
            method, url, data=body, headers=headers, timeout=aiohttp.ClientTimeout(total=seconds), allow_redirects=False
        ) as reply:
            text = (await bounded(reply)).decode("utf-8", "replace")
            found = {k.lower(): v for k, v in reply.headers.items() if k.lower() not in DROPPED}
            return Sent("answered", time.monotonic() - started, reply.status, found, text)
    except NEVER_SENT as error:
        return Sent("not_sent", time.monotonic() - started, reason=why(error))
    except Exception as error:  # The request may have arrived: whatever went wrong, nobody knows.
        late = isinstance(error, TimeoutError)
        return Sent("lost", time.monotonic() - started, reason=why(error), late=late)
