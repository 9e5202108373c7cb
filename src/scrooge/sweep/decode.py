"""What bytes say once they are read as something else: every usual encoding undone, and what that gives, again. Pure.

Each decoder takes bytes and gives other bytes with whatever it could read; reading too much costs time only, since
what is looked for is told apart from noise by its own digits.
"""

import binascii
import re
import zlib
from collections.abc import Callable, Iterator

from scrooge.sweep.pglz import compressed_values

DEPTH = 3  # encodings within one another: base64 of gzip of JSON
BETWEEN = b"\n\xff\n"  # stands between two things decoded from different places
SMALL = 16 * 1024  # raw deflate has no mark to go by: looked for at every byte of what is no longer than this
MEMBER_MAX = 256 * 1024 * 1024  # of one compressed member, unpacked
PIECE = 4 * 1024 * 1024
OVERLAP = 4096
CONTEXT = 64  # bytes kept before and after an escaped character

BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{18,}(?:\r?\n[A-Za-z0-9+/_-]+)*")
STANDARD = bytes.maketrans(b"-_", b"+/")
HEX = re.compile(rb"[0-9a-fA-F]{26,}|[0-9a-fA-F]{2}(?:[^0-9A-Za-z]{0,2}[0-9a-fA-F]{2}){12,}")
HEX_DIGITS = b"0123456789abcdefABCDEF"
NO_HEX = bytes(set(range(256)) - set(HEX_DIGITS))
CODES = re.compile(rb"[45][0-9](?:[, ]{1,2}[0-9]{2}){12,}")  # [52, 50, ...]: bytes as some languages print them
WIDE = re.compile(rb"(?:[\t-~]\0{1,3}){12,}[\t-~]")
FULL_WIDTH = re.compile(rb"\xef\xbc([\x90-\x99])")
# Every alternative begins with a character of its own: that is what makes looking for them quick.
ESCAPE = re.compile(
    rb"%(?:25)*(?P<url>[0-9a-fA-F]{2})"
    rb"|\\\\*(?:u(?:00|\{0*)(?P<json>[0-9a-fA-F]{2})\}?|x(?P<c>[0-9a-fA-F]{2})|(?P<octal>[01][0-7]{2})|(?P<line>[rnt]))"
    rb"|&(?:amp;)*#(?:0*(?P<html>[0-9]{2,3})|[xX]0*(?P<xml>[0-9a-fA-F]{2}));?"
    rb"|0x(?P<literal>[0-9a-fA-F]{2})[, ]{0,2}"
    rb"|=(?P<quoted>[0-9A-F]{2})(?:(?==[0-9A-F]{2})|(?<==[0-9A-F]{2}=[0-9A-F]{2}))"
)
BASES = {"url": 16, "json": 16, "c": 16, "literal": 16, "html": 10, "xml": 16, "octal": 8, "quoted": 16}
# gzip's magic, and every first pair of bytes that RFC 1950 allows without a dictionary.
PAIRS = [
    bytes((method, flags))
    for method in range(0x18, 0x79, 0x10)
    for flags in range(256)
    if (method * 256 + flags) % 31 == 0 and not flags & 0x20
]
MEMBER = re.compile(b"\x1f\x8b\x08|" + b"|".join(map(re.escape, PAIRS)))
AUTOMATIC, RAW = 47, -15  # zlib's wbits


def views(
    data: bytes, *, postgres: bool = False, depth: int = DEPTH, how: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """The bytes themselves, and everything they can be read as; `how`: the encodings, outermost first.

    `postgres`: from a data directory, where long values are compressed in its own way.
    """
    yield how, data
    for decoded in from_pglz(data) if postgres else ():
        yield from views(decoded, depth=depth - 1, how=(*how, "pglz"))
    for name, decode in DECODERS.items() if depth else ():
        if name != "deflate" or (not postgres and (not how or how[-1] == "base64")):
            for decoded in decode(data):
                yield from views(decoded, depth=depth - 1, how=(*how, name))


def shapes(**classes: bytes) -> bytes:
    """A table that turns each byte into the letter of its class, and what is in none into a dot."""
    return bytes(next((ord(name) for name, members in classes.items() if byte in members), 46) for byte in range(256))


PRINTABLE = bytes((9, 10, 13, *range(32, 127)))
LETTERS = b"ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"
# How a run looks where it begins: looking for that in a table of shapes is far quicker than any pattern.
BASE64_SHAPES = shapes(b=b"+/-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"), (b"b" * 18,)
HEX_SHAPES = shapes(h=HEX_DIGITS, x=LETTERS), (b"h" * 26, b"hh." * 8, b"hh.." * 8, b"hhhh." * 5, b"hhhhhhhh." * 2)
CODES_SHAPES = shapes(d=b"0123456789", s=b", "), (b"dds" * 8, b"ddss" * 8)
WIDE_SHAPES = shapes(p=PRINTABLE, o=b"\0"), (b"po" * 8, b"pooo" * 8)


def runs(data: bytes, pattern: re.Pattern[bytes], looks: tuple[bytes, tuple[bytes, ...]]) -> Iterator[bytes]:
    table, signs = looks
    shaped = data.translate(table)
    for sign in signs:
        at = shaped.find(sign)
        while at >= 0:
            found = pattern.match(data, at)
            if found:
                yield found[0]
            at = shaped.find(sign, found.end() if found else at + 1)


def from_base64(data: bytes) -> Iterator[bytes]:
    """Nobody knows where in a row of letters the encoding began, so all four beginnings are tried."""
    found = [run.translate(STANDARD, b"\r\n") for run in runs(data, BASE64, BASE64_SHAPES) if not run.islower()]
    for skipped in range(4 if found else 0):
        yield BETWEEN.join(loosely(run[skipped:]) for run in found)


def loosely(run: bytes) -> bytes:
    whole = run + b"A" * (-len(run) % 4)
    try:
        return binascii.a2b_base64(whole)
    except binascii.Error:
        return b""


def from_hex(data: bytes) -> Iterator[bytes]:
    found = [run.translate(None, NO_HEX) for run in runs(data, HEX, HEX_SHAPES)]
    for skipped in range(2 if found else 0):
        yield BETWEEN.join(bytes.fromhex(run[skipped : len(run) - (len(run) - skipped) % 2].decode()) for run in found)


def from_codes(data: bytes) -> Iterator[bytes]:
    found = list(runs(data, CODES, CODES_SHAPES))
    if found:
        yield BETWEEN.join(bytes(map(int, re.findall(rb"[0-9]+", run))) for run in found)


def from_wide(data: bytes) -> Iterator[bytes]:
    """UTF-16 and UTF-32 of either byte order."""
    found = list(runs(data, WIDE, WIDE_SHAPES))
    if found:
        yield BETWEEN.join(run.replace(b"\0", b"") for run in found)


def from_full_width(data: bytes) -> Iterator[bytes]:
    for piece in neighborhoods(data, FULL_WIDTH):
        yield FULL_WIDTH.sub(lambda found: bytes((found[1][0] - 0x60,)), piece)


def from_escapes(data: bytes) -> Iterator[bytes]:
    found = [ESCAPE.sub(unescaped, piece) for piece in neighborhoods(data, ESCAPE)]
    if found:
        yield BETWEEN.join(found)


def neighborhoods(data: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """The places where the pattern is found, with what is around them."""
    start = end = 0
    for found in pattern.finditer(data):
        if found.start() - CONTEXT > end:
            if end:
                yield data[start:end]
            start = max(0, found.start() - CONTEXT)
        end = found.end() + CONTEXT
    if end:
        yield data[start:end]


def unescaped(found: re.Match[bytes]) -> bytes:
    kind = found.lastgroup or ""
    return b"\n" if kind == "line" else bytes((int(found[kind], BASES[kind]) & 255,))


def from_members(data: bytes) -> Iterator[bytes]:
    """gzip and zlib members that begin anywhere; a broken or cut one as far as it can be read."""
    starts = (found.start() for found in MEMBER.finditer(data))
    yield from together(
        piece for at in starts if data[at] == 0x1F or block(data, at + 2) for piece in unpacked(data, at, AUTOMATIC)
    )


def from_deflate(data: bytes) -> Iterator[bytes]:
    """Raw deflate at the beginning; of small things anywhere."""
    starts = range(len(data) if len(data) <= SMALL else 1)
    yield from together(piece for at in starts if block(data, at) for piece in unpacked(data, at, RAW))


def block(data: bytes, at: int) -> bool:
    """Could a block of RFC 1951 begin here? One that is only stored says what it holds as it is."""
    if at + 2 >= len(data):
        return False
    kind = data[at] >> 1 & 3
    return kind == 1 or (kind == 2 and data[at] >> 3 <= 29 and data[at + 1] & 31 <= 29)


def together(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Many small ones as one."""
    small = bytearray()
    for piece in pieces:
        if len(piece) < PIECE:
            small += piece + BETWEEN
        else:
            yield piece
    if small:
        yield bytes(small)


def unpacked(data: bytes, at: int, wbits: int) -> Iterator[bytes]:
    """A compressed member in pieces, each with the end of the one before it."""
    member, rest, total, tail = zlib.decompressobj(wbits), memoryview(data)[at:], 0, b""
    for start in range(0, len(rest), PIECE):
        waiting = bytes(rest[start : start + PIECE])
        while waiting and total < MEMBER_MAX:
            try:
                piece = member.decompress(waiting, PIECE)
            except zlib.error:
                yield from in_bits(data, at, wbits) if not total else ()
                return
            total += len(piece)
            if len(piece) + len(tail) >= 13:
                yield tail + piece
            tail, waiting = piece[-OVERLAP:], member.unconsumed_tail
        if member.eof or total >= MEMBER_MAX:
            return


def in_bits(data: bytes, at: int, wbits: int) -> Iterator[bytes]:
    """What could be read before the damage: fed little by little, zlib gives what it has."""
    member, got = zlib.decompressobj(wbits), bytearray()
    try:
        for start in range(at, min(len(data), at + SMALL), 16):
            got += member.decompress(data[start : start + 16], PIECE)
    except zlib.error:
        pass
    if len(got) >= 13:
        yield bytes(got)


def from_pglz(data: bytes) -> Iterator[bytes]:
    values = list(compressed_values(data))
    if values:
        yield BETWEEN.join(values)


DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "escapes": from_escapes,
    "base64": from_base64,
    "hex": from_hex,
    "codes": from_codes,
    "utf-16/32": from_wide,
    "full width": from_full_width,
    "gzip/zlib": from_members,
    "deflate": from_deflate,
}
