"""Card numbers belong in the vault: here they are found, refused, and neither logged nor shown.

Found: 13 to 19 digits, also with spaces or dashes between them, in a card scheme's range and length, with a
right Luhn check digit. Left alone: UUIDs, hexadecimal digests and our own ids, in which such a row of digits
means nothing; and timestamps, which until 2039 are in no scheme's range.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from scrooge.errors import PanRefused

# The one look that every body gets: one without so many digits next to each other, but for spaces and dashes, has no
# card number, unless it hides one in escapes.
ZEROS = bytes(ord("0") if c in b"0123456789" else c for c in range(256))
ROW = b"0" * 13
DASHES = "\\-\u2010-\u2015\u2212"
DIGITS = re.compile(rf"[0-9](?:[\s{DASHES}]{{0,3}}[0-9]){{12,}}")
GROUP = re.compile(r"[0-9]+")
MEANINGLESS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-zA-Z])[0-9a-fA-F]{32,}(?![0-9a-zA-Z])"
    r"|(?<![0-9a-zA-Z])[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}(?![0-9a-zA-Z])"
    r"|[0-9]{20,}"
)
LONGEST, SHORTEST = 19, 13
TEXT_MAX = 1100  # No field of ours is longer; a longer text with a row of digits is refused unread.
ROWS_MAX = 64  # Nor has any request of ours so many rows of digits: looking at them all would cost too much.
LUHN_DOUBLED = str.maketrans("0123456789", "0246813579")

# First four digits and lengths in use, from the schemes' published ranges (issuers of ISO/IEC 7812).
MANY = tuple(range(16, 20))
RANGES: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (2200, 2204, MANY),  # Mir
    (2221, 2720, (16,)),  # Mastercard
    (3000, 3059, (14, 15, *MANY)),  # Diners Club
    (3095, 3095, (14, 15, *MANY)),  # Diners Club
    (3400, 3499, (15,)),  # American Express
    (3528, 3589, MANY),  # JCB, RuPay
    (3600, 3699, (14, 15, *MANY)),  # Diners Club
    (3700, 3799, (15,)),  # American Express
    (3800, 3999, (14, 15, *MANY)),  # Diners Club
    (4000, 4999, (13, *MANY)),  # Visa
    (5000, 5099, (13, 14, 15, *MANY)),  # Maestro, Elo, Dankort, RuPay, Verve
    (5100, 5599, (16,)),  # Mastercard
    (5600, 6999, (13, 14, 15, *MANY)),  # Maestro, Discover, UnionPay, RuPay
    (8100, 8299, MANY),  # UnionPay, RuPay
    (9792, 9792, (16,)),  # Troy
)
LENGTHS = {f"{prefix}": frozenset(lengths) for low, high, lengths in RANGES for prefix in range(low, high + 1)}


def refuse_in_body(raw: bytes) -> None:
    """Raises PanRefused, naming the field when the body can be read."""
    if ROW not in raw.translate(ZEROS, b" -") and b"\\" not in raw and raw.isascii():
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


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text and number of a JSON document with its dotted path; keys are texts of their parent."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield path, name
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{position}" if path else str(position))
    elif isinstance(value, float):
        yield path, f"{value:.0f}" if abs(value) < 1e20 else ""
    elif not isinstance(value, bool) and value is not None:
        yield path, str(value)


def has_row(text: str) -> bool:
    """Is there a row of digits long enough to be a card number?"""
    return len(text) >= SHORTEST and DIGITS.search(plain(text)) is not None


def holds_card_number(text: str) -> bool:
    if not has_row(text):
        return False
    if len(text) > TEXT_MAX:
        return True
    return any(is_card_number(number) for row in DIGITS.finditer(plain(text)) for number in numbers(row[0]))


def plain(text: str) -> str:
    """Without the digits that mean nothing; full-width digits and special spaces count like others."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return MEANINGLESS.sub("#", text) if DIGITS.search(text) else text


def numbers(row: str) -> Iterator[str]:
    """Every way to read whole groups of digits as one number: an expiry may stand beside the card number."""
    groups = GROUP.findall(row)
    for first in range(len(groups)):
        number = ""
        for group in groups[first : first + LONGEST]:
            number += group
            if len(number) > LONGEST:
                break
            if len(number) >= SHORTEST:
                yield number


def is_card_number(digits: str) -> bool:
    return len(digits) in LENGTHS.get(digits[:4], ()) and luhn(digits)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    even = digits[-2::-2].translate(LUHN_DOUBLED)
    return (sum(map(int, digits[-1::-2])) + sum(map(int, even))) % 10 == 0
