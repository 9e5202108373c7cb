"""Typed, sortable ids: a prefix and 26 base32 characters of a UUIDv7 whose last ten bits are the bucket.

Ids sort by time, and the rows of an id are found without a lookup, because the id names its bucket.
"""

import os
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from scrooge.errors import MalformedId

BUCKETS = 1024
REMEMBERED = 16_384  # the ids of what is in flight are read some twenty times each
PREFIXES = frozenset(
    [
        "pay",
        "att",
        "cap",
        "voi",
        "ref",
        "inc",
        "ver",
        "ins",
        "evt",
        "jrn",
        "key",
        "mer",
        "clr",
        "con",
        "inb",
        "brk",
        "aud",
        "dec",
        "ern",
        "req",
        "ret",
        "whe",
        "whd",
        "whr",
        "cse",
        "trf",
        "pol",
        "tar",
        "swi",
        "rsk",
        "bat",
        "man",
        "sva",
        "svm",
        "svc",
        "ulk",
        "adj",
    ]
)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
# Python's own digits of base 32; every other ASCII character becomes one that `int` refuses.
TO_PYTHON = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[ALPHABET.find(chr(c))] if chr(c) in ALPHABET else 33 for c in range(256)
)


def bucket_of(*parts: str) -> int:
    """The bucket in which everything about these parts lives; stable across versions and machines."""
    digest = blake2b("\0".join(parts).encode(), digest_size=2).digest()
    return int.from_bytes(digest) % BUCKETS


def buckets_of(*parts: str) -> Callable[[str], int]:
    """`bucket_of` for many that differ in their last part."""
    before = blake2b("\0".join((*parts, "")).encode(), digest_size=2)

    def bucket(last: str) -> int:
        digest = before.copy()
        digest.update(last.encode())
        return int.from_bytes(digest.digest()) % BUCKETS

    return bucket


def new_id(prefix: str, bucket: int) -> str:
    """A fresh id. Ids made later in another millisecond sort after."""
    return encode(prefix, new_number(bucket))


def new_number(bucket: int) -> int:
    """A UUIDv7 (RFC 9562) as an integer, with the bucket in its last ten bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(8))
    high = milliseconds << 80 | 0x7 << 76 | (random & 0xFFF) << 64
    return high | 0x2 << 62 | (random >> 12) << 10 | bucket


def twin_of(public: str, name: str) -> str:
    """Another id of the same kind, moment and bucket; the same one whenever it is asked for by the same name."""
    number = number_of(public)
    random = int.from_bytes(blake2b(f"{public}\0{name}".encode(), digest_size=8).digest())
    high = number >> 76 << 76 | (random & 0xFFF) << 64
    return encode(public.partition("_")[0], high | 0x2 << 62 | (random >> 12) << 10 | number % BUCKETS)


@lru_cache(maxsize=REMEMBERED)
def encode(prefix: str, number: int) -> str:
    """The public form of a 128-bit number."""
    n = number
    pairs = []
    for _ in range(13):
        pairs.append(PAIRS[n & 1023])
        n >>= 10
    pairs.reverse()
    return f"{prefix}_{''.join(pairs)}"


@lru_cache(maxsize=REMEMBERED)
def number_of(public: str, prefix: str | None = None) -> int:
    """The number behind a public id. Raises MalformedId, which callers show as "not found"."""
    return read_number(public, prefix)


def read_number(public: str, prefix: str | None = None) -> int:
    """The same, and not remembered: for ids that come by the million. Raises MalformedId."""
    kind, _, text = public.partition("_")
    if len(text) != 26 or not text.isascii() or kind not in PREFIXES or (prefix is not None and kind != prefix):
        raise MalformedId(f"{public[:40]!r} is not an id of this kind")
    try:
        number = int(text.encode().translate(TO_PYTHON), 32)
    except ValueError:
        raise MalformedId(f"{public[:40]!r} is not an id of this kind") from None
    if number >> 128:
        raise MalformedId(f"{public[:40]!r} is not an id of this kind")
    return number


def bucket_in(public: str) -> int:
    """The bucket that an id names."""
    return number_of(public) % BUCKETS


@lru_cache(maxsize=REMEMBERED)
def hex_of(public: str) -> str:
    """The form PostgreSQL reads as uuid."""
    return f"{number_of(public):032x}"


def retyped(public: str, prefix: str) -> str:
    """The same number under another prefix: an attempt shown as a capture, a void or a refund."""
    return f"{prefix}_{public.partition('_')[2]}"
