"""A request as it is recorded, and where in it a card or a network token goes that is never recorded."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Json = dict[str, Any]
Headers = Mapping[str, str]  # names in lower case


class NetworkToken(Struct, frozen=True):
    """What stands for a card at its scheme, as a token provider knows it. Its number we never keep."""

    provider: str  # our connector account there
    token: str  # the provider's name for it
    brand: str | None = None


class TokenFill(Struct, frozen=True):
    """What goes into a request right before it is sent: the number of a network token and, where the payer is there, a
    cryptogram for this one attempt, both asked of the provider."""

    provider: str
    token: str
    cryptogram: bool


class Fill(Struct, frozen=True):
    """What the vault puts into a request on its way: the card of `instrument`, where the connector's template says."""

    instrument: str
    template: str  # a key of the connector's `cards`


class CardTemplate(Struct, frozen=True, kw_only=True):
    """One request that may carry a card, and where. The vault fills these fields of it and no others.

    A position is the name of a form field or the dotted path in a JSON document. There the request holds a
    placeholder; a field for which the card has nothing (holder, security code) is left out. The vault sends nothing
    but this method, path and content type, and only to the connector's own hosts.
    """

    method: str
    path: str  # whole, below the base URL
    content_type: str
    number: str
    exp_month: str  # two digits
    exp_year: str  # four digits
    holder: str | None = None
    security_code: str | None = None
    kept: tuple[str, ...] = ()  # positions in the reply of the PSP's own ids and of the payer's next step: not redacted


class TokenTemplate(Struct, frozen=True, kw_only=True):
    """Where a request for an authorization has the network token: positions as in a CardTemplate.

    A payment without its payer has no cryptogram, so the request has no place for one.
    """

    content_type: str
    number: str
    exp_month: str  # two digits
    exp_year: str  # four digits
    cryptogram: str
    eci: str
    kept: tuple[str, ...] = ()


# What stands in a request where a card or a network token goes.
PLACEHOLDERS = {
    name: f"{{{{{name}}}}}"
    for name in ("number", "exp_month", "exp_year", "holder", "security_code", "cryptogram", "eci")
}


class Request(Struct, frozen=True):
    """The bytes we are about to send. `path` follows the connector account's base URL.

    Built before the attempt is recorded, so that nothing can fail between the two; kept with the attempt, so
    that a replay sends the same bytes. Credentials are added at the wire and never kept, and so is the card: where
    there is a `fill`, the request goes by way of the vault; where there is a `token`, its number is put in at the wire.
    """

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    idempotency_key: str | None = None
    fill: Fill | None = None
    token: TokenFill | None = None
