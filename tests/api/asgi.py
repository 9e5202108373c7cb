"""Talks to the API within this process: for what a real client cannot do on purpose, like sending half a body."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from starlette.types import ASGIApp

from scrooge.api.app import create_api
from scrooge.app import open_scrooge
from scrooge.flows.scrooge import Scrooge
from scrooge.settings import Settings
from scrooge.storage.access import create_caller, create_key, create_merchant


class Api(Struct, frozen=True):
    app: ASGIApp
    key: str
    s: Scrooge


class Got(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.content)


@asynccontextmanager
async def opened(database_url: str, merchant: str = "asgi") -> AsyncIterator[Api]:
    """The API of a merchant of its own on a migrated database."""
    async with open_scrooge(Settings(database_url=database_url, database_pool=4)) as s:
        caller = await create_caller(s.db, await create_merchant(s.db, merchant), "checkout")
        _, key = await create_key(s.db, caller, ["*"], False)
        yield Api(create_api(s), key, s)


async def asked(
    api: Api, method: str, path: str, parts: Sequence[bytes] = (b"",), *, ends: bool = True, breaks: bool = False,
    **headers: str,
) -> Got:  # fmt: skip
    """One request, its body in parts; `ends` False: the last part never comes; `breaks`: the connection ends instead."""
    left = list(parts)
    got: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not left and breaks:
            return {"type": "http.disconnect"}
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or not ends or breaks}

    async def send(message: Any) -> None:
        got.append(message)

    named = {"authorization": f"Bearer {api.key}", "content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
        "headers": [(k.encode(), v.encode()) for k, v in named.items()], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await api.app(scope, receive, send)
    start = got[0]
    shown = {k.decode(): v.decode() for k, v in start["headers"]}
    return Got(start["status"], shown, b"".join(m.get("body", b"") for m in got[1:]))
