"""A PSP that repeats the card it was sent, in its answer and in the notifications of that moment."""

import re

import msgspec

from .cards import luhn

_NUMBER = re.compile(rb"(?<![0-9])[0-9]{13,19}(?![0-9])")
_CODE = re.compile(rb"(?:cvc|securityCode)[^0-9a-zA-Z]{1,6}(?:5D=)?([0-9]{3,4})(?![0-9])")


class Echo(msgspec.Struct, frozen=True):
    """What a request said of its card."""

    number: str
    code: str


def read_card(body: bytes) -> Echo | None:
    """The card in a request, whatever its form; None: there is none."""
    numbers = [found[0].decode() for found in _NUMBER.finditer(body) if luhn(found[0].decode())]
    code = _CODE.search(body)
    return Echo(numbers[0], code[1].decode() if code else "") if numbers else None


def with_card(body: bytes, echo: Echo) -> bytes:
    """The JSON document with the card in it; another text as it is."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    number = echo.number
    document["echoed"] = {
        "number": number,
        "value": int(number),
        "message": f"Do not honor: card {number[:4]} {number[4:8]} {number[8:12]} {number[12:]}.",
        "trace": f"<Card pan={number}/>",
        "cvc": echo.code,
    }
    return msgspec.json.encode(document)
