"""Card numbers: which texts are one, of which brand, and what may be shown of it. Pure; holds none.

Found: 13 to 19 digits, also with spaces, dashes or dots between them, in a card scheme's range and length, with a
right Luhn check digit. Left alone: UUIDs, hexadecimal digests and our own ids, in which such a row of digits
means nothing; and timestamps, which until 2039 are in no scheme's range.
"""

import re
import unicodedata
from collections.abc import Container, Iterator
from typing import Any

import msgspec

DASHES = "\\-\u2010-\u2015\u2212"
DIGITS = re.compile(rf"[0-9](?:[\s.{DASHES}]{{0,3}}[0-9]){{12,}}")
GROUP = re.compile(r"[0-9]+")
MEANINGLESS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-zA-Z])[0-9a-fA-F]{32,}(?![0-9a-zA-Z])"
    r"|(?<![0-9a-zA-Z])[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}(?![0-9a-zA-Z])"
    r"|[0-9]{20,}"
)
LONGEST, SHORTEST = 19, 13
TEXT_MAX = 1100  # No field of ours is longer; a longer text with a row of digits is refused unread.
ZEROS = bytes(ord("0") if c in b"0123456789" else c for c in range(256))
ROW = b"0" * SHORTEST
# Names under which somebody may repeat a security code: of three digits anywhere else nobody can say what they are.
CODE_NAMES = frozenset({"cvc", "cvv", "cvv2", "cvc2", "cid", "securitycode", "security_code", "verification_value"})
CODE_HINTS = (b"cvc", b"cvv", b'"cid"', b"security", b"verification_value")
LUHN_DOUBLED = str.maketrans("0123456789", "0246813579")

# First four digits, lengths in use and brand, from the schemes' published ranges (issuers of ISO/IEC 7812).
MANY = tuple(range(16, 20))
RANGES: tuple[tuple[int, int, tuple[int, ...], str], ...] = (
    (2200, 2204, MANY, "mir"),
    (2221, 2720, (16,), "mastercard"),
    (3000, 3059, (14, 15, *MANY), "diners"),
    (3095, 3095, (14, 15, *MANY), "diners"),
    (3400, 3499, (15,), "amex"),
    (3528, 3589, MANY, "jcb"),  # RuPay too
    (3600, 3699, (14, 15, *MANY), "diners"),
    (3700, 3799, (15,), "amex"),
    (3800, 3999, (14, 15, *MANY), "diners"),
    (4000, 4999, (13, *MANY), "visa"),
    (5000, 5099, (13, 14, 15, *MANY), "maestro"),  # Elo, Dankort, RuPay, Verve too
    (5100, 5599, (16,), "mastercard"),
    (5600, 6010, (13, 14, 15, *MANY), "maestro"),
    (6011, 6011, MANY, "discover"),
    (6012, 6199, (13, 14, 15, *MANY), "maestro"),
    (6200, 6299, MANY, "unionpay"),
    (6300, 6439, (13, 14, 15, *MANY), "maestro"),
    (6440, 6599, MANY, "discover"),
    (6600, 6999, (13, 14, 15, *MANY), "maestro"),
    (8100, 8199, MANY, "unionpay"),
    (8200, 8299, MANY, "rupay"),
    (9792, 9792, (16,), "troy"),
)
LENGTHS = {f"{prefix}": frozenset(lengths) for low, high, lengths, _ in RANGES for prefix in range(low, high + 1)}
BRANDS = {f"{prefix}": brand for low, high, _, brand in RANGES for prefix in range(low, high + 1)}
MASK = "[card number]"
CODE_LENGTHS = {"amex": (4,)}  # of the security code; three digits everywhere else


def brand_of(digits: str) -> str | None:
    """The scheme whose range the number is in, whatever its length; None: nobody's."""
    return BRANDS.get(digits[:4])


def iin_of(digits: str) -> str:
    """The issuer's digits that may be kept and shown: eight of sixteen or more, else six.

    PCI SSC FAQ 1091: of 16 digits or more the first eight and any other four, of fewer the first six and the last four.
    """
    return digits[: 8 if len(digits) >= 16 else 6]


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
    """Without digits that mean nothing; any script's digits count like ours, and what has no width is not there."""
    if not text.isascii():
        text = "".join(map(read_as, unicodedata.normalize("NFKC", text)))
    return MEANINGLESS.sub("#", text) if DIGITS.search(text) else text


def read_as(character: str) -> str:
    """A digit of another script as ours; what nobody sees as nothing."""
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(character) == "Cf" else character


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


def redacted(text: str) -> str:
    """The text without its card numbers; the same object when it has none."""
    if not has_row(text):
        return text
    if len(text) > TEXT_MAX or not text.isascii():
        return MASK if holds_card_number(text) else text
    return DIGITS.sub(lambda row: MASK if any(map(is_card_number, numbers(row[0]))) else row[0], text)


def redacted_document(raw: bytes, but: Container[str] = ()) -> bytes:
    """JSON from outside without card numbers and security codes; the same object when it has none.

    `but` are texts that must stay whatever they look like: the PSP's ids, without which money would be lost sight of.
    """
    lower = raw.lower()
    rows = ROW in raw.translate(ZEROS, b" -") or b"\\" in raw or not raw.isascii()
    if not rows and not any(hint in lower for hint in CODE_HINTS):
        return raw
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = raw.decode("latin-1")
        return raw if redacted(text) is text else redacted(text).encode("latin-1")

    def within(value: Any, name: str) -> Any:
        match value:
            case dict():
                return {redacted(k): within(v, k) for k, v in value.items()}
            case list():
                return [within(v, name) for v in value]
            case str() if name.lower() in CODE_NAMES and value.isdigit():
                return MASK
            case str():
                return value if value in but else redacted(value)
            case int() | float() if not isinstance(value, bool) and abs(value) < 1e20:
                text = f"{value:.0f}"
                return value if redacted(text) is text else MASK
            case _:
                return value

    clean = within(document, "")
    return raw if clean == document else msgspec.json.encode(clean)
