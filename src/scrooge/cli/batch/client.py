"""The API as the batch commands use it: asked again where a connection broke, never twice where that could do harm."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from scrooge.errors import Problem, SettingsError

TRIES = 8  # in a row without getting on
PAUSE_SECONDS = 1.0
READ = 256 * 1024  # bytes of a file at once
LINE_MAX = 1 << 20  # of an answer
IDLE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
TOO_MANY = 429
AGAIN = frozenset({408, 502, 503, 504})


class ApiRefused(Problem):
    """The API did not do it."""


class Broke(Exception):
    """Nobody can say whether it was done, or it was not and will be: ask again."""


class Busy(Broke):
    """It was not done, and may be asked again after so many seconds."""

    def __init__(self, said: str, seconds: float) -> None:
        super().__init__(said)
        self.seconds = seconds


class Client:
    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {key}"}
        self.http: aiohttp.ClientSession

    async def __aenter__(self) -> "Client":
        self.http = aiohttp.ClientSession(headers=self.headers, timeout=IDLE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def once(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Raises ApiRefused, Broke."""
        try:
            async with self.http.request(method, self.url + path, **options) as answer:
                return await told(answer)
        except BROKEN as error:
            raise Broke(f"{self.url}: {error or type(error).__name__}") from error

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """For what is the same however often it is asked. Raises ApiRefused."""
        for left in reversed(range(TRIES)):
            try:
                return await self.once(method, path, **options)
            except Broke as error:
                if not left:
                    raise ApiRefused(str(error)) from error
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try raises")

    async def upload(self, batch: str, file: Path, total: int, seen: Callable[[int], None]) -> dict[str, Any]:
        """The batch, when the whole file (of so many bytes) is there. It goes on where the connection broke.

        `seen` is told how many bytes are there. Raises ApiRefused.
        """
        kept, tries = -1, 0
        while True:
            found = await self.ask("GET", f"/v1/batches/{batch}")
            start = found["input"]["bytes"]
            if found["input"]["whole"]:
                start = 0  # Compared with what is kept.
            tries = 0 if start > kept else tries + 1
            kept = max(kept, start)
            if tries >= TRIES:
                raise ApiRefused(f"the upload breaks again and again; {kept} of {total} bytes are kept")
            seen(start)
            try:
                path = f"/v1/batches/{batch}/input?from={start}&total={total}"
                content = content_of(file, start, seen)
                return await self.once("PUT", path, data=content, headers={"Content-Type": "application/x-ndjson"})
            except Busy as busy:  # Others of ours are being uploaded: it waits for its turn.
                tries -= 1
                await asyncio.sleep(busy.seconds)
            except Broke:
                await asyncio.sleep(PAUSE_SECONDS)
            except ApiRefused as error:
                if error.members.get("code") != "input_moved":
                    raise

    async def lines(self, path: str, after: int) -> AsyncIterator[bytes]:
        """NDJSON, from behind a line to the last, over as many connections as it takes. Raises ApiRefused."""
        tries = 0
        while True:
            try:
                async with self.http.get(f"{self.url}{path}?after={after}", read_bufsize=LINE_MAX) as answer:
                    if answer.status != 200:
                        await told(answer)
                    async for line in answer.content:
                        if not line.endswith(b"\n"):
                            raise Broke("cut within a line")
                        yield line
                        after, tries = msgspec.json.decode(line)["line"], 0
                    return
            except (*BROKEN, Broke, msgspec.DecodeError) as error:
                tries += 1
                if tries >= TRIES:
                    raise ApiRefused(f"{self.url}: {error}") from error
                await asyncio.sleep(PAUSE_SECONDS)


async def content_of(file: Path, start: int, seen: Callable[[int], None]) -> AsyncIterator[bytes]:
    with file.open("rb") as content:
        content.seek(start)
        while part := content.read(READ):
            yield part
            start += len(part)
            seen(start)


async def told(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    content = await answer.read()
    try:
        document = msgspec.json.decode(content)
    except msgspec.DecodeError:
        document = {}
    if answer.status < 300:
        return document
    if answer.status == TOO_MANY:
        after = answer.headers.get("Retry-After", "")
        raise Busy(
            f"{document.get('detail', 'too much at once')}", float(after) if after.isdecimal() else PAUSE_SECONDS
        )
    if answer.status in AGAIN:
        raise Broke(f"{answer.status}: {document.get('detail', 'no answer of the API')}")
    said = document.get("detail") or f"the answer was {answer.status}"
    more = {name: document[name] for name in ("code", "expected", "first_line") if name in document}
    raise ApiRefused(f"{said} ({document.get('code', answer.status)})", **more)


def client() -> Client:
    """By SCROOGE_API_URL and SCROOGE_API_KEY. Raises SettingsError."""
    url = os.environ.get("SCROOGE_API_URL") or "http://127.0.0.1:8080"
    key = os.environ.get("SCROOGE_API_KEY", "").strip()
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise SettingsError(f"SCROOGE_API_URL must be an http or https address; got {url!r}")
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsError("SCROOGE_API_KEY must be an API key with the scopes that the command needs")
    return Client(url, key)
