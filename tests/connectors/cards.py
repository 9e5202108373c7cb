"""What the vault does to a request, done to a test card: for checks of what a PSP gets to see."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import structs

from scrooge.connectors.connector import CardTemplate, Request

CARD = {
    "number": "4242424242424242",
    "exp_month": "03",
    "exp_year": "2034",
    "holder": "Alex Example",
    "security_code": "123",
}


def positions(request: Request) -> dict[str, str]:
    """Every value of a body, by the name of its form field or its dotted path in the document."""
    if request.content_type == "application/json":
        return dict(walked(msgspec.json.decode(request.body), ""))
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def walked(found: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from walked(value, f"{path}.{name}" if path else name)
    else:
        yield path, str(found)


def filled(request: Request, template: CardTemplate) -> Request:
    """The request with the card in it."""
    puts = {getattr(template, name): value for name, value in CARD.items()}
    if request.content_type != "application/json":
        pairs = [(name, puts.get(name, value)) for name, value in parse_qsl(request.body.decode())]
        return structs.replace(request, body=urlencode(pairs).encode(), fill=None)

    def put(found: Any, path: str) -> Any:
        if not isinstance(found, dict):
            return puts.get(path, found)
        return {name: put(value, f"{path}.{name}" if path else name) for name, value in found.items()}

    return structs.replace(request, body=msgspec.json.encode(put(msgspec.json.decode(request.body), "")), fill=None)
