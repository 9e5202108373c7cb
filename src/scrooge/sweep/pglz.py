"""PostgreSQL's own compression of long values, as they lie in heap files and the write-ahead log. Pure.

Source: src/common/pg_lzcompress.c and varatt.h. Only values that fit into one row piece: of a longer one that was
moved out of line (TOAST), the first piece.
"""

import re
import struct
from collections.abc import Iterator

# A compressed value's header on a little-endian machine (length, lowest bits 10) or that of a piece moved out of line
# (lowest bits 00), then the length unpacked: below 16 MB, and the method, 0 for pglz, in its highest two bits.
# Nothing is compressed that is shorter than these 128 bytes unpacked need.
FIRST = re.escape(bytes(range(0, 256, 2)))
HEADER = re.compile(rb"(?s)(?=[" + FIRST + rb"](?:[^\0]\0\0|(?<=[\x80-\xff])\0\0\0)(?:[\x80-\xff]\0|.[^\0]).\0)")
SHORTEST = 24
PIECES = range(1980, 2001)  # TOAST_MAX_CHUNK_SIZE is 1996; what is moved out of line fills the first one


class Damaged(ValueError):
    """That was no compressed value."""


def compressed_values(data: bytes) -> Iterator[bytes]:
    """Everything in these bytes that can be unpacked as one."""
    for found in HEADER.finditer(data):
        at = found.start()
        header, unpacked = struct.unpack_from("<II", data, at)
        length = (header >> 2) - 8
        fits = SHORTEST <= length < unpacked <= length * 100 if header & 2 else length in PIECES and length < unpacked
        if not fits or at + 8 >= len(data) or data[at + 8] & 1:  # Nothing precedes the first item that it could repeat.
            continue
        try:
            value = decompress(data[at + 8 : at + 8 + length], unpacked, whole=bool(header & 2))
        except (Damaged, IndexError):
            continue
        yield value


def decompress(packed: bytes, length: int, *, whole: bool) -> bytes:
    """Raises Damaged or IndexError. Not `whole`: the rest is in other pieces."""
    value, at = bytearray(), 0
    while at < len(packed) and len(value) < length:
        control = packed[at]
        at += 1
        for bit in range(8):
            if at >= len(packed) or len(value) >= length:
                break
            if control >> bit & 1:
                at = repeat(packed, at, value)
            else:
                value.append(packed[at])
                at += 1
    if whole and (len(value) != length or at != len(packed)):
        raise Damaged
    return bytes(value)


def repeat(packed: bytes, at: int, value: bytearray) -> int:
    """Copies what came before; returns where the next item begins."""
    first, second = packed[at], packed[at + 1]
    length, back = (first & 15) + 3, (first & 0xF0) << 4 | second
    at += 2
    if length == 18:
        length += packed[at]
        at += 1
    if not 0 < back <= len(value):
        raise Damaged
    for _ in range(length):
        value.append(value[-back])
    return at
