"""Card numbers belong in the vault: here they are found, refused, and neither logged nor shown."""

from urllib.parse import parse_qsl, unquote

import msgspec

from scrooge.cards import has_row, holds_card_number
from scrooge.errors import PanRefused
from scrooge.reading import leaves

# The one look that every body gets: one without so many digits next to each other, but for spaces and dashes, has no
# card number, unless it hides one in escapes.
ZEROS = bytes(ord("0") if c in b"0123456789" else c for c in range(256))
ROW = b"0" * 13
ROWS_MAX = 64  # No request of ours has so many rows of digits: looking at them all would cost too much.


def no_card_number(raw: bytes) -> bool:
    """Surely none; otherwise it needs a closer look."""
    return ROW not in raw.translate(ZEROS, b" -.") and b"\\" not in raw and raw.isascii()


def refuse_in_body(raw: bytes) -> None:
    """Raises PanRefused, naming the field when the body can be read."""
    if no_card_number(raw):
        return
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if holds_card_number(raw.decode("utf-8", "replace")):
            refuse(None)
        return
    rows = 0
    for path, text in leaves(document, ""):
        if has_row(text):
            rows += 1
            if rows > ROWS_MAX or holds_card_number(text):
                refuse(path or None)


def refuse_in_target(path: str, query: str) -> None:
    """The same for the request's path and query, as they came (percent-encoded)."""
    if holds_card_number(unquote(path)):
        refuse(None)
    if query:
        for name, value in parse_qsl(query, keep_blank_values=True):
            if holds_card_number(value) or holds_card_number(name):
                refuse(name if not holds_card_number(name) else None)


def refuse(param: str | None) -> None:
    where = f"{param!r} looks like" if param else "the request holds what looks like"
    raise PanRefused(f"{where} a card number; send an instrument made from a token", param=param)
