"""Finding card numbers in bytes: those that were planted, or any that could be one. Pure; a hit never holds the number.

`Planted` is for tests: it knows what to look for, so it looks in every encoding, packed and binary ones too.
`AnyCard` is for an installation: any number in a card scheme's range with a right check digit, in encodings of text.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from scrooge.cards import is_card_number, numbers, plain
from scrooge.sweep.decode import views

ALPHANUMERIC = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
ALPHANUMERIC_BYTES = frozenset(bytes((byte,)) for byte in ALPHANUMERIC)
OTHERS = bytes(set(range(256)) - ALPHANUMERIC)
CODE_FIELDS = (b"cvc", b"cvv", b"csc", b"security_code", b"security code", b"securitycode", b"card_code", b"cardcode")
# Three digits are found anywhere: without its field's whole name, and what stands between the two, one means nothing.
CODE = re.compile(rb"(?:" + b"|".join(CODE_FIELDS) + rb")2?[^0-9a-zA-Z]{1,8}([0-9]{3,4})(?![0-9])")
ROW = re.compile(rb"(?<![0-9])[0-9](?:[ \t\r\n+-]{0,3}[0-9]){12,}(?![0-9])")
AROUND = 40  # a UUID or a digest is longer than its longest row of digits
ANCHOR = 4  # bytes, at least
SILENCE = b"\0" * 32
DAMAGE_MAX = 1000  # hits told of one place


class Hit(Struct, frozen=True):
    """`what` names it without showing it; `how` is how it was written; `where` and `at` are the reader's."""

    what: str
    how: str
    where: str = ""
    at: int = 0


class Finder(Protocol):
    def found(self, data: bytes, *, outermost: bool) -> Iterator[tuple[str, str]]:
        """(what, how it is written in these bytes); `outermost`: they are as they were read, nothing was decoded."""
        ...


def search(finder: Finder, data: bytes, where: str = "", at: int = 0, *, postgres: bool = False) -> list[Hit]:
    """Everything found in the bytes, however they are encoded; each thing once for each way it was written."""
    data = SILENCE.join(data.split(SILENCE * 2))  # Memory and databases are mostly zeros.
    if not data.strip(b"\0"):
        return []
    seen: dict[tuple[str, str], Hit] = {}
    for encodings, decoded in views(data, postgres=postgres):
        for what, written in finder.found(decoded, outermost=not encodings):
            how = " of ".join((*encodings, written))
            seen.setdefault((what, how), Hit(what, how, where, at))
            if len(seen) >= DAMAGE_MAX:
                return list(seen.values())
    return list(seen.values())


class Planted:
    """Numbers, holders' names and security codes by label; a code counts only beside the name of such a field."""

    def __init__(self, cards: Mapping[str, str], words: Mapping[str, str] = {}, codes: Mapping[str, str] = {}) -> None:
        texts = {number.encode(): label for label, number in cards.items()}
        texts |= {word.lower().encode().translate(None, OTHERS): label for label, word in words.items()}
        self.forward = Literals(texts)
        self.backward = Literals({text[::-1]: label for text, label in texts.items()})
        self.packed = {
            name: Literals({pack(number): label for label, number in cards.items()}) for name, pack in PACKED.items()
        }
        self.codes = {code.encode(): label for label, code in codes.items()}

    def found(self, data: bytes, *, outermost: bool) -> Iterator[tuple[str, str]]:
        squeezed = data.translate(None, OTHERS).lower()  # what separates digits, or widens them, is gone
        for name, literals in (("text", self.forward), ("text backward", self.backward)):
            yield from ((label, name) for label in literals.within(squeezed))
        for code in codes_in(data) if self.codes else ():
            if code in self.codes:
                yield self.codes[code], "security code in its field"
        for name, literals in self.packed.items():
            yield from ((label, name) for label in literals.within(data))


def codes_in(data: bytes) -> Iterator[bytes]:
    lower = data.lower()
    for field in CODE_FIELDS:
        at = lower.find(field)
        while at >= 0:
            found = CODE.match(lower, at)
            if found and begins(data, at):
                yield found[1]
            at = lower.find(field, at + 1)


def begins(data: bytes, at: int) -> bool:
    """Does a name begin here, or a word of a name, as in cardCvc?"""
    before, here = data[at - 1 : at] if at else b"", data[at : at + 1]
    return before not in ALPHANUMERIC_BYTES or (before.islower() and here.isupper())


class Literals:
    """Many byte strings at once: they are few by their first or last bytes, and those are looked for."""

    def __init__(self, labels: Mapping[bytes, str]) -> None:
        self.labels = dict(labels)
        self.lengths = sorted({len(text) for text in labels})
        few = min(len(cut(labels, ANCHOR, head=head)) for head in (True, False))
        self.by_head = len(cut(labels, ANCHOR, head=True)) == few
        longest = max(size for size in range(ANCHOR, 12) if len(cut(labels, size, head=self.by_head)) == few)
        self.anchors = sorted(cut(labels, longest, head=self.by_head))

    def within(self, data: bytes) -> Iterator[str]:
        for anchor in self.anchors:
            at = data.find(anchor)
            while at >= 0:
                for length in self.lengths:
                    start = at if self.by_head else at + len(anchor) - length
                    label = self.labels.get(data[start : start + length]) if start >= 0 else None
                    if label is not None:
                        yield label
                at = data.find(anchor, at + 1)


def cut(texts: Iterable[bytes], size: int, *, head: bool) -> set[bytes]:
    return {text[:size] if head else text[-size:] for text in texts}


def nibbles(number: str) -> bytes:
    """Packed decimal; of an odd number of digits those that fill whole bytes, whichever end is padded."""
    return bytes.fromhex(number[: len(number) // 2 * 2])


def swapped(number: str) -> bytes:
    return bytes.fromhex("".join(b + a for a, b in zip(number[::2], number[1::2], strict=False)))


def late_nibbles(number: str) -> bytes:
    return bytes.fromhex(number[1 : 1 + (len(number) - 1) // 2 * 2])


def ten_thousands(order: str) -> Callable[[str], bytes]:
    """PostgreSQL's numeric: digits of base 10,000, the first perhaps shorter."""

    def pack(number: str) -> bytes:
        padded = number.zfill(-(-len(number) // 4) * 4)
        digits = [int(padded[n : n + 4]) for n in range(0, len(padded), 4)]
        while digits[-1] == 0:
            digits.pop()
        return struct.pack(f"{order}{len(digits)}h", *digits)

    return pack


def python_integer(number: str) -> bytes:
    """As CPython keeps it in memory: digits of 30 bits."""
    left, digits = int(number), []
    while left:
        digits.append(left & 0x3FFFFFFF)
        left >>= 30
    return struct.pack(f"<{len(digits)}I", *digits)


PACKED: dict[str, Callable[[str], bytes]] = {
    "packed decimal": nibbles,
    "packed decimal, padded first": late_nibbles,
    "packed decimal, swapped": swapped,
    "EBCDIC": lambda number: number.encode("cp500"),
    "integer": lambda number: struct.pack("<Q", int(number)),
    "integer, big-endian": lambda number: struct.pack(">Q", int(number)),
    "floating point": lambda number: struct.pack("<d", int(number)),
    "floating point, big-endian": lambda number: struct.pack(">d", int(number)),
    "numeric": ten_thousands("<"),
    "numeric, big-endian": ten_thousands(">"),
    "Python integer": python_integer,
}


class AnyCard:
    """What may be shown of a card, and nothing else, names it: the first six digits and the last four."""

    def __init__(self, but: Iterable[str] = ()) -> None:
        self.but = frozenset(but)  # numbers that are known and harmless, as published test numbers

    def found(self, data: bytes, *, outermost: bool) -> Iterator[tuple[str, str]]:
        for row in ROW.finditer(data):
            around = data[max(0, row.start() - AROUND) : row.end() + AROUND].decode("latin-1")
            digits = row[0].decode("latin-1")
            if digits not in plain(around):
                continue  # a part of a UUID, of a digest, of one of our ids
            for number in numbers(digits):
                if is_card_number(number) and number not in self.but:
                    yield f"{number[:6]}...{number[-4:]}", "text"
