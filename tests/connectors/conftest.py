"""A PSP that says what a test tells it to, on a loopback port: real HTTP, real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct

from scrooge.connectors.client import client


class Seen(Struct, frozen=True):
    method: str
    path: str  # as it came, with its query
    headers: dict[str, str]  # names in lower case
    body: bytes


class Psp:
    """Answers every request with what it was last told, and remembers what it saw."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.reset()

    def reset(self) -> None:
        self.seen: list[Seen] = []
        self.says(200, b"")
        self.delay = 0.0  # seconds
        self.hang_up = False

    def says(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.status, self.headers = status, headers or {}

    async def answer(self, request: web.Request) -> web.Response:
        names = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, names, await request.read()))
        if self.hang_up and request.transport is not None:
            request.transport.abort()
        await asyncio.sleep(self.delay)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[tuple[Psp, aiohttp.ClientSession]]:
    told = Psp()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", told.answer)
    async with TestServer(app) as listening, client() as http:
        told.url = str(listening.make_url("")).rstrip("/")
        yield told, http


@pytest.fixture
def psp(server: tuple[Psp, aiohttp.ClientSession]) -> Psp:
    server[0].reset()
    return server[0]


@pytest.fixture
def http(server: tuple[Psp, aiohttp.ClientSession]) -> aiohttp.ClientSession:
    return server[1]
