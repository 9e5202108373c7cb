"""A merchant's receiver of webhooks: keeps every request, answers as it is told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks import Webhook


class Receiver:
    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.at: list[float] = []
        self.answer: Callable[[int], web.Response] = lambda n: web.Response(status=204)
        self.delay = 0.0
        self.endless = False  # An answer without end.
        self.now = self.most = self.ended = self.sent = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, body))
        self.paths.append(request.path)
        self.at.append(time.monotonic())
        number = len(self.got)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.delay)
            return await self.without_end(request) if self.endless else self.answer(number)
        finally:
            self.now -= 1
            self.ended += 1

    async def without_end(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65_536)
                self.sent += 65_536
        return answer

    def messages(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for _, body in self.got]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Raises unless every request is signed by the secret."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.got]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
