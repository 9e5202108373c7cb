"""What goes to a PSP leaves once: no layer below repeats, redirects or takes another way. Seen on the bare wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from scrooge.connectors.client import client
from scrooge.connectors.connector import Command, Request, Wire
from scrooge.connectors.registry import connectors
from scrooge.connectors.send import Health, send
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Rejected, Unknown
from scrooge.money import Money

COMMAND = Command(
    operation=Operation.AUTHORIZE, amount=Money(1299, "EUR"), reference="pay_1-1", payment="pay_1",
    merchant_account="acct", sale=True, final=False, psp_reference=None, parent_psp_reference=None, customer=None,
    initiator="customer", statement_descriptor=None,
)  # fmt: skip
Handler = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def psp(handler: Handler) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server on a bare socket: each request it read, on whatever connection, is in the list."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
                requests.append(head + await reader.readexactly(sum(length)))
                await handler(len(requests), writer)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()


def answer(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 2", *headers, "", "{}"]).encode()


async def sent(http: aiohttp.ClientSession, url: str, method: str = "POST", timeout: float = 5.0):
    stripe = connectors()["stripe"]
    request = Request(method, "/v1/payment_intents", b"amount=1299" if method == "POST" else b"", "text/plain", "key-1")
    endpoint = stripe.endpoints[Operation.AUTHORIZE]
    wire = Wire(stripe, url, {"api_key": "sk_test_1"})
    return await send(http, wire, endpoint, COMMAND, request, first=True, timeout=timeout)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_turns_out_dead_is_not_tried_again(method: str):
    async def handler(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(answer("500 Oops"))
            await writer.drain()
        else:
            writer.transport.abort()

    async with psp(handler) as (url, requests), client() as http:
        await sent(http, url, method)
        lost = await sent(http, url, method)
        assert isinstance(lost.outcome, Unknown)
        assert lost.health is Health.FAILED
        assert len(requests) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_breaks_off_is_not_asked_for_again(method: str):
    async def handler(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        await writer.drain()
        writer.close()

    async with psp(handler) as (url, requests), client() as http:
        assert isinstance((await sent(http, url, method)).outcome, Unknown)
        assert len(requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent", "503 Busy", "429 Slow"])
async def test_no_answer_makes_it_go_anywhere_again(status: str):
    async def handler(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, "Location: /elsewhere", "Retry-After: 0"))
        await writer.drain()

    async with psp(handler) as (url, requests), client() as http:
        await sent(http, url)
        assert len(requests) == 1


async def test_silence_is_late_and_is_not_asked_again():
    async def handler(number: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with psp(handler) as (url, requests), client() as http:
        late = await sent(http, url, timeout=0.2)
        assert isinstance(late.outcome, Unknown)
        assert late.health is Health.LATE
        assert len(requests) <= 1


async def test_a_proxy_of_the_environment_sees_nothing(monkeypatch: pytest.MonkeyPatch):
    async def handler(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK"))
        await writer.drain()

    async with psp(handler) as (proxy, seen), psp(handler) as (url, requests):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        async with client() as http:
            await sent(http, url)
        assert (len(seen), len(requests)) == (0, 1)


async def test_nobody_there_is_known_to_have_seen_nothing():
    async with psp(lambda number, writer: asyncio.sleep(0)) as (url, _):
        pass
    async with client() as http:
        gone = await sent(http, url)
    assert isinstance(gone.outcome, Rejected)
    assert gone.health is Health.FAILED
