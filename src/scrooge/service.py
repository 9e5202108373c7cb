"""Who is speaking between the core and the vault: short-lived tokens one way, signed answers the other.

Each side has an Ed25519 key of its own and knows the other's public one. A token is for one request: its method and
path, its body, one moment and one use.
"""

import base64
import binascii
import hashlib
import secrets
import time

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from scrooge.errors import SettingsError

ISSUER, AUDIENCE = "scrooge", "scrooge-vault"
ALGORITHM = "EdDSA"
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
    claims = None
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "iat", "jti", "act", "dgs"]},
            )  # fmt: skip
            break
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidTokenError as error:
            raise NotAuthentic(f"the token is not good: {type(error).__name__}") from None
    if claims is None:
        raise NotAuthentic("the token is not signed by a key that is known here")
    if claims["exp"] - claims["iat"] > TOKEN_SECONDS:
        raise NotAuthentic("the token lives too long")
    if not (same(claims["act"], act) and same(claims["dgs"], digest(body))):
        raise NotAuthentic("the token is for another request")
    if not isinstance(claims["jti"], str) or not 16 <= len(claims["jti"]) <= 64:
        raise NotAuthentic("the token has no usable id")
    return Claims(claims["jti"], int(claims["iat"]), int(claims["exp"]) + CLOCK_SKEW_SECONDS)


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


def same(claim: object, expected: str) -> bool:
    return isinstance(claim, str) and secrets.compare_digest(claim.encode(), expected.encode())


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
