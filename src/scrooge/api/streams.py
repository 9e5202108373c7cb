"""Bodies and answers without an end to wait for: in parts, none of which is kept."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from scrooge.api.call import Answer
from scrooge.errors import RequestTimeout

IDLE_SECONDS = 30.0


async def parts_of(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises RequestTimeout when it breaks, or nothing comes for half a minute."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(f"nothing more of the body came for {IDLE_SECONDS:.0f} seconds") from None
        if message["type"] == "http.disconnect":
            raise RequestTimeout("the connection ended before the body did")
        if content := message.get("body", b""):
            yield content
        if not message.get("more_body", False):
            return


async def tell(answer: Answer, parts: AsyncIterator[bytes], scope: Scope, receive: Receive, send: Send) -> None:
    """Until the last part, or until nobody reads any more. An error ends the connection: what came before is right."""
    headers = [(b"content-type", answer.media_type.encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
        return
    gone = asyncio.ensure_future(receive())
    try:
        async for content in parts:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": content, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        gone.cancel()
