"""A network token goes into a request right before it is sent: its number and cryptogram are in this process's memory
from the provider's answer to the PSP's, and nowhere else.
"""

from collections.abc import Mapping

import aiohttp
from msgspec import Struct

from scrooge.connectors.connector import Cryptogram, Request, TokenGone, Wire
from scrooge.connectors.errand import exchange
from scrooge.connectors.filling import clean, clean_text, prepared
from scrooge.unanswered import why

SECONDS = 3.0  # for the provider, of those that the PSP has


class NoCryptogram(Exception):
    """Nothing can be sent now; in words without a secret. `gone`: nor will it ever."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(f"the token provider: {reason}")
        self.gone = gone


class Filled(Struct, frozen=True):
    """What goes over the wire instead of the request's body. It has no words for itself."""

    body: bytes
    secret: Cryptogram
    kept: tuple[str, ...]

    def __repr__(self) -> str:
        return "Filled()"

    def without(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
        """A reply that does not repeat the token, like one that the vault has cleaned of a card."""
        also = (self.secret.cryptogram,) if self.secret.cryptogram else ()
        text = clean(body.decode("utf-8", "replace"), self.kept, self.secret.number, also)
        return text.encode(), {name: clean_text(value, self.secret.number, also) for name, value in headers.items()}


async def filled(
    http: aiohttp.ClientSession, wire: Wire, provider: Wire | None, request: Request, reference: str, seconds: float
) -> Filled:
    """The provider answers an attempt the same way every time, so a replay is the same bytes. Raises NoCryptogram."""
    template, fill = wire.connector.network_token, request.token
    tokens = provider.connector.tokens if provider is not None else None
    if fill is None or template is None or provider is None or tokens is None:
        raise NoCryptogram("there is none to ask")
    try:
        ready = prepared(template, request.body.decode())
        asked = tokens.cryptogram(fill, reference)
        secret = tokens.read_cryptogram(*await exchange(http, provider, asked, min(SECONDS, seconds / 2)))
    except TokenGone as error:
        raise NoCryptogram(str(error), gone=True) from None
    except Exception as error:  # Whatever it did, nothing has left for the PSP.
        raise NoCryptogram(why(error)) from None
    if fill.cryptogram and not secret.cryptogram:
        raise NoCryptogram("no cryptogram")
    values = {
        "number": secret.number, "exp_month": secret.exp_month, "exp_year": secret.exp_year,
        "cryptogram": secret.cryptogram, "eci": secret.eci,
    }  # fmt: skip
    return Filled(ready.filled(values), secret, template.kept)
