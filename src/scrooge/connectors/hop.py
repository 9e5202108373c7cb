"""What the core asks the vault when a request carries a card, and what the vault's answers mean. Pure.

Only two things say that nothing has left for the PSP: that the vault could not connect to it, and that the vault
refused, each signed for this very request. Not a 401: if something on the way repeated our request, the first copy may
have been filled and sent, and only the second is refused because its token was used.
"""

from string import Formatter
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Headers, Request, Wire

FILLS = "/v1/fills"
MARGIN_SECONDS = 0.5  # of our time for the vault to tell us that the PSP's was over
UNAUTHENTICATED = 401


class Answered(Struct, frozen=True, tag_field="outcome", tag="answered"):
    """The PSP's answer, without what looks like a card; `seconds` is the PSP's own time.

    `stored`: it is the answer to an earlier send of the same request, which ended the authorization.
    """

    status: int
    headers: Headers
    body: str
    seconds: float
    stored: bool = False


class NotSent(Struct, frozen=True, tag_field="outcome", tag="not_sent"):
    """The vault could not connect to the PSP."""

    reason: str


class Lost(Struct, frozen=True, tag_field="outcome", tag="lost"):
    """The vault sent it, and has no answer; `late`: the PSP's time was over."""

    reason: str
    late: bool = False


class Refused(Struct, frozen=True):
    """The vault would not fill or send it, by its own word. Not `repeatable`: nor will it ever."""

    code: str
    detail: str
    repeatable: bool = True


Heard = Answered | NotSent | Lost | Refused


class Refusal(Struct, frozen=True):
    """A problem document, as far as it matters here."""

    sent: bool | None = None
    code: str = "unexplained"
    detail: str = ""
    repeatable: bool = True


class Unbelievable(Exception):
    """The vault answers in a way that says nothing about what it did."""


SAID: msgspec.json.Decoder[Answered | NotSent | Lost] = msgspec.json.Decoder(Answered | NotSent | Lost)


def question(wire: Wire, request: Request, reference: str, seconds: float, again: bool = False) -> bytes:
    """The body for `FILLS`. In live mode the vault knows the host; it is told the public names that are part of it.

    `again`: what goes once, like a security code, the vault gives to the same request only.
    """
    assert request.fill is not None, "only what carries a card goes by way of the vault"
    named = {name for _, name, _, _ in Formatter().parse(wire.connector.live_url) if name} if wire.live else set()
    document: dict[str, Any] = {
        "attempt": reference,
        "merchant": wire.merchant,
        "instrument": request.fill.instrument,
        "connector": wire.connector.name,
        "template": request.fill.template,
        "live": wire.live,
        "names": {name: wire.credentials[name] for name in sorted(named)},
        "method": request.method,
        "path": request.path,
        "content_type": request.content_type,
        "headers": wire.connector.headers(wire.credentials, request),
        "body": request.body.decode(),
        "timeout": max(seconds - MARGIN_SECONDS, seconds / 2),
    }
    if again:
        document["again"] = True
    if not wire.live:
        document["base_url"] = wire.base_url
    return msgspec.json.encode(document)


def heard(status: int, body: bytes) -> Heard:
    """What a signed answer says. Raises Unbelievable."""
    try:
        if status == 200:
            return SAID.decode(body)
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        raise Unbelievable(f"HTTP {status}: the vault's answer cannot be read") from None
    if status < 400 or status == UNAUTHENTICATED or refusal.sent is not False:
        raise Unbelievable(f"HTTP {status}: the vault does not say that nothing was sent")
    return Refused(refusal.code[:64], refusal.detail[:200], refusal.repeatable)
