"""Requests to PSPs that move no money: sent once. Asking again is the errand's own affair."""

import aiohttp
import msgspec

from scrooge.connectors import hop
from scrooge.connectors.client import asking, bounded
from scrooge.connectors.connector import Json, Request, Wire
from scrooge.connectors.vault_client import Vault, ask_vault


class NotYet(Exception):
    """What was to be done is not, or nobody can tell; in words for an operator, without a secret."""


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


async def exchange_by_vault(
    http: aiohttp.ClientSession,
    vault: Vault,
    wire: Wire,
    request: Request,
    reference: str,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> tuple[int, Json]:
    """The same with a card in it. Raises NotYet."""
    asked = hop.question(wire, request, reference, timeout)
    reply = await ask_vault(http, vault, "POST", hop.FILLS, asked, timeout=timeout)
    match hop.heard(reply.status, reply.body):
        case hop.Answered(status, _, text):
            return status, msgspec.json.decode(text, type=dict) if text else {}
        case hop.Refused(code):
            raise NotYet(f"the vault refused: {code}")
        case hop.NotSent(reason) | hop.Lost(reason):
            raise NotYet(f"the vault: {reason}")
