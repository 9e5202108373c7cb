"""What the edge and the dialects pass between them, and how bytes reach or fail the client."""

import asyncio
import socket
import struct
from collections.abc import Callable

import msgspec
from starlette.types import Receive, Scope, Send

from .world import World

TRANSPORT = "sandbox.transport"  # scope key: the TCP transport below this request
_BODY_MAX = 1 << 20


class Call(msgspec.Struct, frozen=True):
    """A request: header names in lower case, `path` without the dialect's prefix."""

    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    body: bytes
    origin: str  # scheme and host by which a browser reaches us


class Reply(msgspec.Struct, frozen=True):
    """An answer; `keep` says whether an idempotency key may store it."""

    status: int
    body: bytes
    headers: dict[str, str] = {}
    keep: bool = True
    content_type: str = "application/json"


class Dialect(msgspec.Struct, frozen=True):
    """A PSP as the edge sees it: pure functions from a call to what this PSP would do."""

    name: str
    answer: Callable[[World, Call], Reply]
    account: Callable[[Call], str]  # whose idempotency keys these are
    fingerprint: Callable[[Call], bytes]  # equal for equal requests
    moves_money: Callable[[Call], bool]
    registers: Callable[[Call], bool]  # set-up calls: no latency, no faults
    refuse_changed: Callable[[Call], Reply]
    refuse_concurrent: Callable[[Call], Reply]
    broken: Callable[[], Reply]  # an internal server error; `keep` as this PSP would
    with_wrong_amount: Callable[[bytes], bytes]
    replayed: Callable[[str], dict[str, str]]  # headers of a stored answer, by its request id
    headers: Callable[[Call, str], dict[str, str]]  # headers of every answer, by its request id


async def read_call(scope: Scope, receive: Receive, prefix: str, public_url: str | None) -> Call:
    """The whole request; raises ConnectionError if the client left before finishing it."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left before its request was complete")
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > _BODY_MAX:
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    origin = public_url or f"{scope['scheme']}://{headers.get('host', 'localhost')}"
    path = scope["path"].removeprefix(prefix)
    return Call(scope["method"], path, scope["query_string"], headers, body, origin.rstrip("/"))


async def send_reply(send: Send, reply: Reply) -> None:
    """The answer, whole."""
    await _start(send, reply)
    await send({"type": "http.response.body", "body": reply.body})


async def send_half(scope: Scope, receive: Receive, send: Send, reply: Reply) -> None:
    """Half of the answer, then a TCP reset."""
    await _start(send, reply)
    half = reply.body[: len(reply.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(0.02)  # The half has to leave before the reset overtakes it.
    await cut(scope, receive, reset=True)


async def cut(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Close the TCP connection without an answer; with `reset`, by RST."""
    transport = scope[TRANSPORT]
    raw = transport.get_extra_info("socket")
    if reset and raw is not None:  # None once the client itself has gone.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, reply: Reply) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
