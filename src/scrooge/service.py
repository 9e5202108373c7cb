"""Who is speaking between the core and the vault: short-lived tokens one way, signed answers the other.

Each side has an Ed25519 key of its own and knows the other's public one. A token is for one request: its method and
path, its body, one moment and one use.
"""

import base64
import binascii
import hashlib
import secrets
import time
from typing import Annotated

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from scrooge.errors import SettingsError

ISSUER, AUDIENCE = "scrooge", "scrooge-vault"
ALGORITHM = "EdDSA"
HEADER = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9."  # {"alg":"EdDSA","typ":"JWT"}, as every token of ours begins
TOKEN_SECONDS = 30
CLOCK_SKEW_SECONDS = 5
SIGNATURE = "scrooge-signature"
KEY_BYTES = 32


class NotAuthentic(Exception):
    """A token or an answer that is not from whom it should be; the message says why and holds no secret."""


class Claims(Struct, frozen=True):
    """What a good token said: its one-time id, when it was made, until when it must be remembered (Unix seconds)."""

    id: str
    issued_at: int
    expires_at: int


class Said(Struct, frozen=True):
    """The claims of a token, all of them and each of its kind."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: Annotated[str, Meta(min_length=16, max_length=64)]
    act: str
    dgs: str


SAID = msgspec.json.Decoder(Said)


class Identity:
    """One side's own private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key

    def __repr__(self) -> str:
        return "Identity()"

    @property
    def public(self) -> str:
        return encoded(self.key.public_key().public_bytes_raw())

    def token(self, act: str, body: bytes) -> tuple[str, str]:
        """(token, its id) for one request: `act` is the method and the path, like "POST /v1/fills"."""
        now, token_id = int(time.time()), secrets.token_urlsafe(16)
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS, "jti": token_id,
            "act": act, "dgs": digest(body),
        }  # fmt: skip
        return jwt.encode(claims, self.key, algorithm=ALGORITHM), token_id

    def signature(self, token_id: str, status: int, body: bytes) -> str:
        """Of an answer to the request that had this token."""
        return encoded(self.key.sign(answered(token_id, status, body)))


def identity(seed: str, setting: str) -> Identity:
    """From 32 bytes in URL-safe base64. Raises SettingsError naming the setting and not the key."""
    return Identity(Ed25519PrivateKey.from_private_bytes(raw_key(seed, setting)))


def public_key(text: str, setting: str) -> Ed25519PublicKey:
    """Raises SettingsError."""
    return Ed25519PublicKey.from_public_bytes(raw_key(text, setting))


def new_seed() -> str:
    return encoded(secrets.token_bytes(KEY_BYTES))


def check_token(token: str, keys: list[Ed25519PublicKey], act: str, body: bytes) -> Claims:
    """The claims of a token for this very request. Whether it was used before, the caller finds out.

    Raises NotAuthentic.
    """
    said = signed(token, keys)
    try:
        claims = SAID.decode(decoded(said.partition(".")[2]))
    except (msgspec.DecodeError, ValueError):
        raise NotAuthentic("the token does not say what it must") from None
    now = time.time()
    if (claims.iss, claims.aud) != (ISSUER, AUDIENCE):
        raise NotAuthentic("the token is not from the core for a vault")
    if not claims.iat - CLOCK_SKEW_SECONDS <= now < claims.exp + CLOCK_SKEW_SECONDS:
        raise NotAuthentic("the token is of another time")
    if claims.exp - claims.iat > TOKEN_SECONDS:
        raise NotAuthentic("the token lives too long")
    if not (same(claims.act, act) and same(claims.dgs, digest(body))):
        raise NotAuthentic("the token is for another request")
    return Claims(claims.jti, claims.iat, claims.exp + CLOCK_SKEW_SECONDS)


def signed(token: str, keys: list[Ed25519PublicKey]) -> str:
    """What was signed, by one of the keys. Raises NotAuthentic."""
    said, _, signature = token.rpartition(".")
    if not said.startswith(HEADER):  # One algorithm and no other: whoever sends a token has nothing to choose.
        raise NotAuthentic("this is not a token")
    try:
        raw, content = decoded(signature), said.encode("ascii")
    except ValueError:
        raise NotAuthentic("this is not a token") from None
    for key in keys:
        try:
            key.verify(raw, content)
        except InvalidSignature:
            continue
        return said
    raise NotAuthentic("the token is not signed by a key that is known here")


def check_answer(key: Ed25519PublicKey, signature: str, token_id: str, status: int, body: bytes) -> None:
    """Raises NotAuthentic unless the vault signed this answer to this request."""
    try:
        key.verify(decoded(signature), answered(token_id, status, body))
    except (InvalidSignature, ValueError):
        raise NotAuthentic("the answer is not signed by the vault") from None


def answered(token_id: str, status: int, body: bytes) -> bytes:
    return f"{token_id}.{status}.{digest(body)}".encode()


def digest(body: bytes) -> str:
    return encoded(hashlib.sha256(body).digest())


def same(claim: str, expected: str) -> bool:
    return secrets.compare_digest(claim.encode(), expected.encode())


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def raw_key(text: str, setting: str) -> bytes:
    try:
        raw = decoded(text.strip())
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise SettingsError(
            f"{setting} must be {KEY_BYTES} bytes in URL-safe base64: `scrooge vault pair` makes a pair"
        )
    return raw
