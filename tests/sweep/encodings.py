"""Every way in which a text may be written, for the scanner's positive control: name -> writer."""

import base64
import gzip
import html
import json
import struct
import urllib.parse
import zlib
from collections.abc import Callable
from itertools import pairwise


def deflated(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def with_padding(pad: int) -> Callable[[str], bytes]:
    return lambda text: base64.b64encode(b"x" * pad + text.encode() + b'","brand":"visa"}')


def in_json(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def grouped(text: str, by: str, size: int = 4) -> bytes:
    return by.join(text[n : n + size] for n in range(0, len(text), size)).encode()


def long_text(text: str) -> bytes:
    return json.dumps({"id": "pay_1", "card": {"number": text, "exp": "2030-03"}, "notes": ["abc"] * 20}).encode()


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "spaces": lambda t: grouped(t, " "),
    "dashes": lambda t: grouped(t, "-"),
    "per character": lambda t: " ".join(t).encode(),
    "per character, quoted": lambda t: json.dumps(list(t)).encode(),
    "no-break spaces": lambda t: "\u00a0".join(t).encode(),
    "UTF-16 LE": lambda t: t.encode("utf-16-le"),
    "UTF-16 BE": lambda t: t.encode("utf-16-be"),
    "UTF-16 with spaces": lambda t: grouped(t, " ").decode().encode("utf-16-le"),
    "UTF-32 LE": lambda t: t.encode("utf-32-le"),
    "UTF-32 BE": lambda t: t.encode("utf-32-be"),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t).encode(),
    "base64": lambda t: base64.b64encode(t.encode()),
    "base64 at 1": with_padding(1),
    "base64 at 2": with_padding(2),
    "base64 of a text, URL-safe": lambda t: base64.urlsafe_b64encode(b"\xfb\xff\xfe" + long_text(t)).rstrip(b"="),
    "base64 in lines": lambda t: base64.encodebytes(long_text(t)),
    "base64 in lines in JSON": lambda t: json.dumps(base64.encodebytes(long_text(t)).decode()).encode(),
    "base64 of UTF-16": lambda t: base64.b64encode(t.encode("utf-16-le")),
    "base64 of grouped": lambda t: base64.b64encode(grouped(t, " ")),
    "hex": lambda t: t.encode().hex().encode(),
    "hex, upper": lambda t: t.encode("utf-16-le").hex().upper().encode(),
    "hex, colons": lambda t: t.encode().hex(":").encode(),
    "hex, bytea": lambda t: b"\\x" + b"{}".hex().encode() + t.encode().hex().encode(),
    "hex, odd": lambda t: b"a" + t.encode().hex().encode(),
    "C escapes": lambda t: "".join(f"\\x{ord(c):02x}" for c in t).encode(),
    "octal escapes": lambda t: "".join(f"\\{ord(c):03o}" for c in t).encode(),
    "C array": lambda t: ", ".join(f"0x{ord(c):02x}" for c in t).encode(),
    "list of codes": lambda t: str(list(t.encode())).encode(),
    "URL": lambda t: "".join(f"%{ord(c):02X}" for c in t).encode(),
    "URL twice": lambda t: urllib.parse.quote("".join(f"%{ord(c):02x}" for c in t)).encode(),
    "form": lambda t: urllib.parse.urlencode({"card[number]": grouped(t, " ").decode()}).encode(),
    "quoted printable": lambda t: "".join(f"={ord(c):02X}" for c in t).encode(),
    "JSON escapes": lambda t: in_json(t).encode(),
    "JSON in JSON": lambda t: json.dumps(json.dumps({"a": 1}) + in_json(t)).encode(),
    "HTML entities": lambda t: "".join(f"&#{ord(c)};" for c in t).encode(),
    "HTML entities, hex": lambda t: html.escape("".join(f"&#x{ord(c):x};" for c in t)).encode(),
    "gzip": lambda t: gzip.compress(long_text(t)),
    "zlib": lambda t: zlib.compress(long_text(t)),
    "zlib, fast": lambda t: zlib.compress(long_text(t), 1),
    "zlib, small window": lambda t: (z := zlib.compressobj(9, zlib.DEFLATED, 10)).compress(long_text(t)) + z.flush(),
    "gzip, cut short": lambda t: gzip.compress(long_text(t) * 3)[:-12],
    "raw deflate": lambda t: deflated(long_text(t)),
    "base64 of gzip": lambda t: base64.b64encode(gzip.compress(long_text(t))),
    "hex of zlib": lambda t: zlib.compress(long_text(t)).hex().encode(),
    "gzip of base64 of JSON escapes": lambda t: gzip.compress(base64.b64encode(in_json(t).encode())),
    "backward": lambda t: t[::-1].encode(),
}

# Of numbers only.
PACKED: dict[str, Callable[[str], bytes]] = {
    "packed decimal": lambda t: bytes.fromhex(t if len(t) % 2 == 0 else f"{t}f"),
    "packed decimal, zero first": lambda t: bytes.fromhex(t if len(t) % 2 == 0 else f"0{t}"),
    "packed decimal, swapped": lambda t: bytes.fromhex("".join(b + a for a, b in zip(t[::2], t[1::2] + "f"))),  # noqa: B905
    "EBCDIC": lambda t: bytes(0xF0 + int(c) for c in t),
    "int8": lambda t: struct.pack(">q", int(t)),
    "little-endian": lambda t: struct.pack("<q", int(t)),
    "double": lambda t: struct.pack("<d", int(t)),
}

assert all(a != b for a, b in pairwise(ENCODINGS))
