"""Shares of a key-encryption key that is nowhere stored: any k of n custodians make it again, fewer know nothing.

Shamir's scheme over GF(2^128), once for each half of the key, so that every share is as long as the key (PCI DSS
3.6.1.2, 3.7.6: full-length components). A share is written as text that people can type; its end finds a slip.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from Crypto.Protocol.SecretSharing import Shamir  # nosec B413: pycryptodome, which is kept up; not pyCrypto

from scrooge.errors import ShareRefused

LENGTH, HALF = 32, 16
MOST = 16
CHECK_LENGTH = 3
GROUP = 4
HEAD = re.compile(r"scrooge-share-(?P<number>[0-9]{1,2})-")


def new_secret() -> bytes:
    return secrets.token_bytes(LENGTH)


def split(secret: bytes, threshold: int, count: int) -> list[bytes]:
    """Share n is the n-th of the list, counted from one."""
    assert len(secret) == LENGTH
    assert 2 <= threshold <= count <= MOST, "of one share alone anybody could make the key"
    halves = [Shamir.split(threshold, count, secret[at : at + HALF]) for at in (0, HALF)]
    return [first[1] + second[1] for first, second in zip(*halves, strict=True)]


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret, when they are exactly as many as it takes and all right; otherwise bytes that open nothing."""
    return b"".join(Shamir.combine([(n, share[at : at + HALF]) for n, share in shares.items()]) for at in (0, HALF))


def text_of(number: int, share: bytes) -> str:
    """`scrooge-share-2-abcd-efgh-...`: base32 in groups of four."""
    body = base64.b32encode(share + check_of(number, share)).decode().lower().rstrip("=")
    groups = [body[at : at + GROUP] for at in range(0, len(body), GROUP)]
    return f"scrooge-share-{number}-{'-'.join(groups)}"


def read(text: str) -> tuple[int, bytes]:
    """The number and the share. Raises ShareRefused, which never repeats what was typed."""
    plain = re.sub(r"\s", "", text).lower()
    head = HEAD.match(plain)
    if head is None:
        raise ShareRefused("a share begins with scrooge-share-, its number and a dash")
    number, body = int(head["number"]), plain[head.end() :].replace("-", "").upper()
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise ShareRefused("a share is written in letters a to z and digits 2 to 7") from None
    share, check = raw[:LENGTH], raw[LENGTH:]
    if len(raw) != LENGTH + CHECK_LENGTH or not hmac.compare_digest(check, check_of(number, share)):
        raise ShareRefused("a character of this share is missing or wrong")
    return number, share


def check_of(number: int, share: bytes) -> bytes:
    return hashlib.sha256(b"scrooge share %d " % number + share).digest()[:CHECK_LENGTH]


def commitment(salt: bytes, number: int, share: bytes) -> bytes:
    """Tells the right share from any other, and nothing else: nobody can guess 256 bits of chance."""
    return hmac.digest(salt, b"%d " % number + share, "sha256")
