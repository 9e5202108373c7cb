"""A server of the tests that plays the card vault to the core: real keys, real HTTP, cards in a dictionary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from scrooge.connectors.vault_client import Vault
from scrooge.service import NotAuthentic, check_token, identity, new_seed, public_key


class PlayedVault:
    """`cards` by instrument id; `changes` in order; `trouble`, where set, is the status of every answer."""

    def __init__(self) -> None:
        self.us, self.core_seed = identity(new_seed(), "TEST"), new_seed()
        self.core = identity(self.core_seed, "TEST")
        self.cards: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.trouble: int | None = None
        self.silent = False
        self.forged = False
        self.url = ""

    @property
    def vault(self) -> Vault:
        return Vault(self.url, self.core, public_key(self.us.public, "TEST"))

    def keep(self, card: dict[str, Any]) -> None:
        """A card that was made or changed: as it is now, and in the feed."""
        self.cards[card["id"]] = card
        self.changes.append(card)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        act = f"{request.method} {request.path_qs}"
        try:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            claims = check_token(token, [public_key(self.core.public, "TEST")], act, body)
        except NotAuthentic:
            return web.Response(status=401)
        self.asked.append((request.method, request.path))
        if self.silent:
            await asyncio.sleep(60)
        status, document = self.answer(request, body)
        raw = msgspec.json.encode(document)
        signer = self.core if self.forged else self.us
        signature = signer.signature(claims.id, status, raw)
        return web.Response(status=status, body=raw, headers={"Scrooge-Signature": signature})

    def answer(self, request: web.Request, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.trouble is not None:
            return self.trouble, {"code": "trouble"}
        if request.path == "/v1/changes":
            after = int(request.query.get("after") or 0)
            page = self.changes[after : after + int(request.query["limit"])]
            end = after + len(page)
            return 200, {"data": page, "next_cursor": str(end), "has_more": end < len(self.changes)}
        card = self.cards.get(request.path.rpartition("/")[2])
        if card is None:
            return 404, {"code": "not_found"}
        if request.method == "GET":
            return 200, card
        changed = {"status": "deleted"} if request.method == "DELETE" else msgspec.json.decode(body)
        self.keep({**card, **changed})
        return 200, self.cards[card["id"]]


@asynccontextmanager
async def played_vault() -> AsyncIterator[PlayedVault]:
    played = PlayedVault()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", played.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    played.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield played
    finally:
        await runner.cleanup()
